"""Stage 5: winners become ONNX files, checked and measured as what will be delivered."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hwnas.core.architecture import Architecture
from hwnas.core.errors import HwnasError
from hwnas.core.files import read_json, write, write_json
from hwnas.core.tracker import Event
from hwnas.export.select import select
from hwnas.export.verify import verify
from hwnas.graph.draw import draw
from hwnas.pipeline.run import Run
from hwnas.profile.stopwatch import Stopwatch
from hwnas.space.replay import build
from hwnas.track.picture import curve_picture, front_picture
from hwnas.track.report import report

PARITY = 1e-4


def run(run: Run) -> None:
    """Write ``export/<key>/model.onnx`` and ``model.json``, pictures and ``report.html``."""
    candidates = _candidates(run)
    metrics = [c["searched"] | c["estimated"] | c["profiled"] for c in candidates]
    selection = select(metrics, run.objectives, run.pipeline.export.select)
    if selection.note:
        run.say("export", selection.note)
    run.record(Event("export", "start", total=len(selection.indices)))
    folder = run.folder / "export"
    chosen = {candidates[i]["key"] for i in selection.indices}
    for old in folder.glob("*/model.json"):
        if old.parent.name not in chosen:
            shutil.rmtree(old.parent)
    for done, i in enumerate(selection.indices, start=1):
        _export(run, candidates[i], metrics[i], folder / candidates[i]["key"])
        run.record(Event("export", "progress", done, len(selection.indices)))
    front = read_json(run.folder / "front.json")
    front_picture(front, folder / "front.png", [candidates[i]["id"] for i in selection.indices])
    curve_picture(front, folder / "hypervolume.png")
    write(folder / "report.html", report(run.folder))
    names = ", ".join(str(folder / candidates[i]["key"]) for i in selection.indices)
    run.record(Event("export", "end", message=f"{len(chosen)} model(s): {names}"))


def _candidates(run: Run) -> list[dict[str, Any]]:
    """The finalists that were trained and measured, all that is known of each."""
    profiled = {f["key"]: f for f in read_json(run.folder / "profiled.json")["finalists"]}
    found = [
        {
            "key": f["key"],
            "id": f["id"],
            "architecture": f["architecture"],
            "weights": f["weights"],
            "searched": f["searched"],
            "estimated": f["metrics"],
            "profiled": profiled[f["key"]]["metrics"],
        }
        for f in read_json(run.folder / "estimated.json")["finalists"]
        if f["weights"] is not None and profiled[f["key"]]["failed"] is None
    ]
    if not found:
        raise HwnasError("no finalist was both trained and measured.", "See profiled.json.")
    return found


def _export(
    run: Run, candidate: dict[str, Any], promised: Mapping[str, float], folder: Path
) -> None:
    from safetensors.numpy import load_file

    section, effort = run.pipeline.export, run.pipeline.profile
    architecture = Architecture.from_json(candidate["architecture"])
    weights = load_file(run.folder / candidate["weights"])
    artifact = run.exporter.export(architecture, weights, folder / "model.onnx")
    stopwatch = Stopwatch(effort.replicates, effort.seconds)

    def timed(call: Callable[[], object]) -> Mapping[str, float]:
        return stopwatch.time(call).metrics()

    found = verify(
        artifact.path, run.space, architecture, weights, run.task,
        device=run.device, stopwatch=timed,
    )  # fmt: skip
    if found.parity > PARITY:
        raise HwnasError(
            f"{artifact.path}: outputs differ from torch's by {found.parity:.1e}, more than"
            f" {PARITY:.0e}.",
            "Try the other exporter (export.exporter) or another export.opset.",
        )
    if found.fallback:
        run.say("export", found.fallback)
    write(folder / "network.svg", draw(build(run.space, architecture), candidate["key"]))
    delivered = found.to_json()
    names = [o.name for o in run.objectives]
    write_json(
        folder / "model.json",
        {
            **{k: candidate[k] for k in ("key", "id", "architecture")},
            "labels": run.task.labels,
            "preprocessing": dict(run.task.preprocessing),
            "input": {"shape": list(run.task.input.shape), "dtype": run.task.input.dtype},
            **{k: candidate[k] for k in ("searched", "estimated", "profiled")},
            "promised": {name: promised[name] for name in names},
            "delivered": {**delivered.pop("metrics"), **delivered},
            "onnx": {
                "opset": section.opset,
                "exporter": section.exporter,
                "bytes": artifact.bytes,
                "seconds": artifact.seconds,
            },
        },
    )
