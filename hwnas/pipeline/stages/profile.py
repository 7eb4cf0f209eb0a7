"""Stage 4: every finalist is measured on the device."""

from hwnas.core.architecture import Architecture
from hwnas.core.errors import FAILURES
from hwnas.core.files import read_json, write_json
from hwnas.core.tracker import Event
from hwnas.pipeline.run import Run
from hwnas.profile.conditions import conditions


def run(run: Run) -> None:
    """Write ``profiled.json``: all profilers' metrics and the conditions they hold under."""
    section = run.pipeline.profile
    profilers = run.profilers(replicates=section.replicates, seconds=section.seconds)
    finalists = read_json(run.folder / "estimated.json")["finalists"]
    run.record(Event("profile", "start", total=len(finalists)))
    measured = []
    for i, finalist in enumerate(finalists):
        architecture = Architecture.from_json(finalist["architecture"])
        metrics: dict[str, float] = {}
        failed = None
        try:
            for profiler in profilers:
                metrics |= profiler.measure(architecture)
        except FAILURES as error:
            failed = f"{type(error).__name__}: {error}"
        known = {name: finalist[name] for name in ("id", "key", "architecture")}
        measured.append({**known, "metrics": metrics, "failed": failed})
        run.record(Event("profile", "progress", i + 1, len(finalists)))
    facts = {**conditions(), **run.device.conditions()}
    write_json(run.folder / "profiled.json", {"conditions": facts, "finalists": measured})
    spread = [m["metrics"]["latency_ms"] for m in measured if "latency_ms" in m["metrics"]]
    message = f"latency {min(spread):.3g} to {max(spread):.3g} ms" if spread else "measured"
    run.record(Event("profile", "end", message=message))
