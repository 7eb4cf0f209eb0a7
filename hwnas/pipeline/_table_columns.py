"""The columns of a table, and what it says about itself."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.core.outcome import Outcome
from hwnas.pipeline.run import Run
from hwnas.profile.conditions import conditions


def learnt(
    run: Run,
    twins: Sequence[int],
    levels: Sequence[int],
    trained: Mapping[int, Sequence[Outcome]],
) -> dict[str, np.ndarray]:
    """A column for each metric of the estimator, and for each level below full training."""
    columns = {}
    for metric in run.estimator.metrics:
        for level, units in enumerate(levels):
            full = level + 1 == len(levels)
            if metric.cheap and not full:
                continue
            values = {
                network: outcomes[level].metrics.get(metric.name, math.nan)
                for network, outcomes in trained.items()
                if level < len(outcomes)
            }
            column = np.array([values.get(network, math.nan) for network in twins])
            name = metric.name if full else f"{metric.name}@{units}"
            columns[name] = _compact(column) if metric.cheap else column.astype(np.float32)
    return columns


def measured(run: Run, profiled: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    """A column for each metric of the profilers."""
    names = [m.name for profiler in run.search_profilers for m in profiler.metrics]
    return {
        name: _compact(np.array([found.get(name, math.nan) for found in profiled]))
        for name in names
    }


def _compact(column: np.ndarray) -> np.ndarray:
    """Counts as the integers they are."""
    whole = np.isfinite(column).all() and (column == np.round(column)).all()
    return column.astype(np.int64 if whole else np.float32)


def about(run: Run, levels: Sequence[int], columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """How the table was made, and how many of its networks lack something."""
    metrics = [*run.estimator.metrics, *(m for p in run.search_profilers for m in p.metrics)]
    whole = np.isfinite(np.stack([column.astype(float) for column in columns.values()])).all(axis=0)
    return {
        "units": levels[-1],
        "task": run.pipeline.task.model_dump(),
        "space": run.pipeline.space.model_dump(),
        "estimator": run.pipeline.search.estimator.model_dump(),
        "objectives": [m.to_json() for m in metrics],
        "seed": run.pipeline.seed,
        "failed": int((~whole).sum()),
        "conditions": {**conditions(), **run.device.conditions()},
    }
