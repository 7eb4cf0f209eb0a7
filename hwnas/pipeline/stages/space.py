"""Stage 1: the space is built, checked, measured in size and pictured."""

from collections.abc import Mapping
from math import isinf
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.errors import FAILURES
from hwnas.core.files import write, write_json
from hwnas.core.tracker import Event
from hwnas.graph.draw import draw
from hwnas.pipeline.run import Run
from hwnas.space.moves import choices, sample, size
from hwnas.space.replay import build

_SAMPLES = 200
_MEASURED = 6  # the most expensive samples are run to bound what must be measured
_MARGIN = 1.1
_BINS = 24


def run(run: Run) -> None:
    """Write ``space.json`` with the reference point of the run, and ``network.svg``."""
    rng = np.random.default_rng(run.pipeline.seed)
    count = size(run.space, rng)
    run.record(Event("space", "start", total=_SAMPLES + _MEASURED))
    drawn = []
    for i in range(_SAMPLES):
        architecture = sample(run.space, rng)
        drawn.append((architecture, run.costs(architecture)))
        run.record(Event("space", "progress", i + 1, _SAMPLES + _MEASURED))
    picture = build(run.space, drawn[0][0])
    write(run.folder / "network.svg", draw(picture, f"one of {count} networks"))
    met = {c.name: c for a, _ in drawn for c in choices(run.space, a)}
    write_json(
        run.folder / "space.json",
        {
            "space": run.pipeline.space.model_dump(),
            "networks": str(count),
            "size": None if isinf(count.mean) else count.mean,
            "error": count.error,
            "choices": [
                {"name": c.name, "options": list(c.options), "k": c.k, "structural": c.structural}
                for c in met.values()
            ],
            "samples": _SAMPLES,
            "costs": _ranges([costs for _, costs in drawn]),
            "reference": _reference(run, drawn),
            "network": drawn[0][0].to_json(),
        },
    )
    run.record(Event("space", "end", message=f"{count} networks, {len(met)} choices"))


def _ranges(costs: list[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    table = {name: np.array([c[name] for c in costs]) for name in costs[0]}
    return {
        name: {
            "min": float(values.min()),
            "median": float(np.median(values)),
            "max": float(values.max()),
            "histogram": _histogram(values),
        }
        for name, values in table.items()
    }


def _histogram(values: np.ndarray) -> list[int]:
    """Counts of equal bins; of equal ratios where values differ by orders of magnitude."""
    low, high = values.min(), values.max()
    wide = 0 < 100 * low < high
    counts, _ = np.histogram(np.log(values) if wide else values, _BINS)
    return [int(n) for n in counts]


def _reference(run: Run, drawn: list[tuple[Architecture, Mapping[str, float]]]) -> dict[str, float]:
    """The worst value that counts for each objective: its limit, its bound, or what was seen.

    Fixed here once and written into every file that carries a hypervolume.
    """
    seen = {name: [costs[name] for _, costs in drawn] for name in drawn[0][1]}
    for name, values in _measured(run, drawn).items():
        seen.setdefault(name, []).extend(values)
    reference = {}
    for o in run.objectives:
        if o.limit is not None:
            reference[o.name] = o.limit
        elif o.metric.worst is not None:
            reference[o.name] = o.metric.worst
        else:
            values = [o.sign * v for v in seen.get(o.name, [1.0])]
            reference[o.name] = o.sign * max(v * _MARGIN if v > 0 else v / _MARGIN for v in values)
    return reference


def _measured(
    run: Run, drawn: list[tuple[Architecture, Mapping[str, float]]]
) -> dict[str, list[float]]:
    """What profilers that must run networks say of the most expensive samples."""
    profilers = [p for p in run.search_profilers if not p.cheap]
    costly = sorted(drawn, key=lambda d: sum(d[1].values()))[-_MEASURED:] if profilers else []
    found: dict[str, list[float]] = {}
    for i, (architecture, _) in enumerate(costly):
        for profiler in profilers:
            try:
                for name, value in profiler.measure(architecture).items():
                    found.setdefault(name, []).append(value)
            except FAILURES as error:
                run.say("space", f"a sample cannot be measured: {error}")
        run.record(Event("space", "progress", _SAMPLES + i + 1, _SAMPLES + _MEASURED))
    return found
