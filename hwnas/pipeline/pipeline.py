"""From a pipeline file to a finished run: which stages to do, which to skip."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hwnas.core.errors import HwnasError
from hwnas.core.files import digest, read_json, write, write_json
from hwnas.core.tracker import Event
from hwnas.pipeline.config import read
from hwnas.pipeline.run import STAGES, Run

_RESULT = {
    "space": "space.json",
    "search": "front.json",
    "estimate": "estimated.json",
    "profile": "profiled.json",
    "export": "export/report.html",
}
_FIXED = ("space", "search")  # stages whose sections a resumed run may not change


def prepare(run: Run, stages: Sequence[str], resume: bool) -> dict[str, str]:
    """Check everything in the pipeline, then make the run folder; the stages it has finished.

    Raises :class:`HwnasError` for any mistake, with nothing written.
    """
    finished = _finished(run, stages, resume)
    run.check()
    write(run.folder / "pipeline.yaml", yaml.safe_dump(run.pipeline.model_dump(), sort_keys=False))
    return finished


def execute(run: Run, stages: Sequence[str], finished: dict[str, str]) -> None:
    """Do ``stages`` in order, but for those ``finished`` with unchanged inputs."""
    keys = _keys(run)
    for stage in stages:
        if finished.get(stage) == keys[stage] and (run.folder / _RESULT[stage]).exists():
            run.record(Event(stage, "skip", message="done before, inputs unchanged"))
            continue
        importlib.import_module(f"hwnas.pipeline.stages.{stage}").run(run)
        finished[stage] = keys[stage]
        write_json(run.folder / "run.json", {"name": run.name, "finished": finished})


def _keys(run: Run) -> dict[str, str]:
    """For each stage a digest of every section that it or an earlier stage reads."""
    data = run.pipeline.model_dump()
    read: dict[str, Any] = {}
    keys = {}
    for stage, sections in STAGES.items():
        read |= {name: data[name] for name in sections}
        keys[stage] = digest(read)
    return keys


def _finished(run: Run, stages: Sequence[str], resume: bool) -> dict[str, str]:
    """The stages that the folder has finished, after checking that it is this pipeline's."""
    folder = run.folder
    if not (folder / "pipeline.yaml").exists():
        if folder.exists() and any(p.suffix != ".partial" for p in folder.iterdir()):
            raise HwnasError(
                f"--out {folder}: not empty, and not a run folder.", "Name a new folder."
            )
        if stages[0] != next(iter(STAGES)):
            raise HwnasError(
                f"{folder}: there is no run to go on with.",
                "Start with: hwnas space PIPELINE.yaml, or do all stages: hwnas run PIPELINE.yaml",
            )
        return {}
    _same(run)
    path = folder / "run.json"
    finished: dict[str, str] = read_json(path)["finished"] if path.exists() else {}
    order = list(STAGES)
    earlier = [s for s in order[: order.index(stages[0])] if s not in finished]
    if earlier:
        raise HwnasError(
            f"{folder}: stage {earlier[0]} is not finished, and {stages[0]} builds on it.",
            f"Do it first: hwnas {earlier[0]} PIPELINE.yaml --out {folder} --resume",
        )
    begun = [s for s in stages if (folder / _RESULT[s]).exists()]
    searched = "search" in stages and (folder / "trials.db").exists()
    if (begun or searched) and not resume:
        raise HwnasError(
            f"{folder}: this run has been here before.",
            "Add --resume to go on with it, or name another --out.",
        )
    return finished


def _same(run: Run) -> None:
    """Refuse a folder that another pipeline's search has filled."""
    # Keys that came after the folder was begun have their defaults.
    there = read(run.folder / "pipeline.yaml").model_dump()
    here = run.pipeline.model_dump()
    for section in (name for stage in _FIXED for name in STAGES[stage]):
        key = _difference(section, there.get(section), here[section])
        if key:
            raise HwnasError(
                f"{run.folder}: this folder belongs to another pipeline: {key}.",
                "Name another --out, or resume with the pipeline it was begun with.",
            )


def _difference(key: str, there: Any, here: Any) -> str:
    if isinstance(there, dict) and isinstance(here, dict):
        for name in {**there, **here}:
            found = _difference(f"{key}.{name}", there.get(name), here.get(name))
            if found:
                return found
        return ""
    return "" if there == here else f"{key} is {there!r} there and {here!r} here"


def folder_for(path: Path, out: Path | None, resume: bool) -> Path:
    """The run folder: ``out``, else ``runs/<name>`` with a number, the latest one on resume."""
    if out is not None:
        return out
    base = Path("runs") / path.stem
    taken = [base] if base.exists() else []
    number = 2
    while (numbered := base.with_name(f"{base.name}-{number}")).exists():
        taken.append(numbered)
        number += 1
    if not resume:
        return numbered if base.exists() else base
    if not taken:
        raise HwnasError(f"--resume: there is no run at {base} to resume.", "Or name it by --out.")
    return taken[-1]
