"""Stage 2: the strategy searches; the front is kept."""

import time
from collections.abc import Mapping
from typing import Any

from hwnas.core.files import read_json, write_json
from hwnas.core.outcome import Outcome
from hwnas.core.strategy import Strategy
from hwnas.core.tracker import Event
from hwnas.pipeline.archive import Archive
from hwnas.pipeline.driver import Driver
from hwnas.pipeline.run import Run
from hwnas.track.store import Store

_REFRESH = 5.0  # seconds between fronts written during the search
_KEPT = 300  # of the steps, evenly spread, whose diagnostics are shown


def run(run: Run) -> None:
    """Write ``trials.db`` and ``front.json``; go on where an interrupted search left off."""
    strategy, estimator = run.searchers()
    reference = read_json(run.folder / "space.json")["reference"]
    archive = Archive(run.objectives, estimator.units, reference)
    written = time.monotonic()
    told: dict[str, Any] = {}  # by the strategy, of itself

    def progress() -> None:
        nonlocal written
        done, total = strategy.progress
        run.record(Event("search", "progress", done, total, values=_figures(archive, strategy)))
        if time.monotonic() - written > _REFRESH:
            _write(run, archive, told)
            written = time.monotonic()

    try:
        with Store(run.folder / "trials.db") as store:
            driver = Driver(strategy, estimator, run.search_profilers, archive, store, progress)
            driver.resume()
            done, total = strategy.progress
            run.record(Event("search", "start", done, total, values=_figures(archive, strategy)))
            driver.run()
            told["diagnostics"] = _thinned(store.diagnostics())
            told["warnings"] = list(strategy.warnings)
    finally:
        estimator.close()
        _write(run, archive, told)
    for warning in told["warnings"]:
        run.say("search", warning)
    found = f"{len(archive.front)} networks on the front, {archive.share:.1%} of the box"
    failed = f", {archive.failed} failed" if archive.failed else ""
    run.record(Event("search", "end", message=f"{len(archive.trials)} trials{failed}: {found}"))


def _figures(archive: Archive, strategy: Strategy) -> dict[str, Any]:
    if not archive.trials:  # there may be many steps before the first one
        return dict(strategy.diagnostics)
    figures: dict[str, Any] = {
        "hypervolume": archive.share,
        "front": len(archive.front),
        "failed": archive.failed,
    }
    best = archive.best(1)
    if best:
        first = archive.objectives[0]
        figures["best"] = f"{first.name} {best[0].metrics[first.name]:.4g} {first.metric.unit}"
    return figures


def _thinned(rows: list[Any]) -> list[Any]:
    return rows[:: -(-len(rows) // _KEPT)] if rows else []


def _write(run: Run, archive: Archive, told: Mapping[str, Any]) -> None:
    on_front = {o.proposal.id for o in archive.front}
    conditions = run.device.conditions()

    def trial(outcome: Outcome) -> dict[str, Any]:
        spent = outcome.spent
        return {
            "id": outcome.proposal.id,
            "architecture": outcome.proposal.point.to_json(),
            "metrics": dict(outcome.metrics),
            "fidelity": {
                "train": spent.train,
                "full": outcome.failed is None and archive.is_full(outcome),
                "steps": spent.steps,
                "seconds": spent.seconds,
            },
            "conditions": conditions,
            "front": outcome.proposal.id in on_front,
            "failed": outcome.failed,
        }

    write_json(
        run.folder / "front.json",
        {
            "name": run.name,
            "seed": run.pipeline.seed,
            "objectives": [o.to_json() for o in run.objectives],
            "reference": archive.reference,
            "hypervolume": archive.hypervolume,
            "share": archive.share,
            "evaluations": len(archive.trials),
            "failed": archive.failed,
            "curve": archive.curve,
            "trials": [trial(o) for o in archive.trials],
            **told,
        },
    )
