"""What a front was like after each evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.core import pareto
from hwnas.core.metric import Metric
from hwnas.core.objective import Objective, Objectives


def series(front: Mapping[str, Any]) -> dict[str, list[tuple[int, float]]]:
    """Curves over evaluations from ``front.json``: hypervolume, front size, best first objective.

    Like the front they are of feasible trials of full fidelity; there is no best before the first.
    """
    if not front:
        return {}
    objectives = Objectives(
        [
            Objective(Metric(o["name"], o["unit"], o["goal"]), o["limit"])
            for o in front["objectives"]
        ]
    )
    first = objectives[0]
    kept = np.empty((0, len(objectives)))
    size: list[tuple[int, float]] = []
    best: list[tuple[int, float]] = []
    for n, trial in enumerate(front["trials"], start=1):
        if _counts(trial, objectives):
            kept = np.vstack([kept, objectives.values(trial["metrics"])])
            kept = kept[pareto.front(kept, np.zeros(len(kept)))]
        size.append((n, float(len(kept))))
        if len(kept):
            best.append((n, first.sign * float(kept[:, 0].min())))
    return {
        "hypervolume": [(int(n), float(hv)) for n, hv in front["curve"]],
        "front_size": size,
        f"best_{first.name}": best,
    }


def _counts(trial: Mapping[str, Any], objectives: Objectives) -> bool:
    if trial["failed"] is not None or not trial["fidelity"]["full"]:
        return False
    return objectives.violation(trial["metrics"]) <= 0
