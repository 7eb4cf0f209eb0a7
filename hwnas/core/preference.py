"""How a single-objective method searches for a front."""

from bisect import insort
from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.core.objective import Objectives

_RHO = 0.05


class Preference:
    """Preference vectors over the simplex, and the value of metrics under one.

    The value is the augmented Chebyshev function (Knowles 2006, ParEGO) of objectives scaled to
    [0, 1): that of the best seen is 0, that of the median 1/2. A scale by the range would be set by
    the worst networks, which learn nothing, and tell none of the others apart. With one objective
    it orders as that objective does. Infeasible metrics come after all feasible ones, by violation.
    """

    def __init__(self, objectives: Objectives) -> None:
        self._objectives = objectives
        self._seen: list[list[float]] = [[] for _ in objectives]  # sorted

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A vector drawn uniformly over the simplex, shape ``[n_objectives]``."""
        return rng.dirichlet(np.ones(len(self._objectives)))

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Take part in the scale."""
        for seen, value in zip(self._seen, self._objectives.values(metrics), strict=True):
            insort(seen, float(value))

    def value(self, metrics: Mapping[str, float], preference: np.ndarray) -> float:
        """The scalar to minimise, after anything was observed; in [0, 1.05) if feasible."""
        values = self._objectives.values(metrics)[None]
        violation = np.array([self._objectives.violation(metrics)])
        return float(self.table(values, violation, preference[None])[0, 0])

    def table(
        self, values: np.ndarray, violation: np.ndarray, preferences: np.ndarray
    ) -> np.ndarray:
        """The same of signed values ``[n, n_objectives]`` and violations ``[n]``.

        Under several preferences ``[k, n_objectives]``, shape ``[n, k]``.
        """
        low = np.array([seen[0] for seen in self._seen])
        middle = np.array([seen[len(seen) // 2] for seen in self._seen]) - low
        above = values - low  # negative of what is only expected
        scaled = above / np.maximum(np.maximum(above, 0.0) + middle, np.finfo(float).tiny)
        weighted = scaled[:, None] * preferences
        feasible = weighted.max(axis=2) + _RHO * weighted.sum(axis=2)
        return np.where(violation[:, None] > 0, 2.0 + violation[:, None], feasible)

    def state_dict(self) -> dict[str, Any]:
        """What was seen."""
        return {"seen": np.array(self._seen)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state_dict`."""
        self._seen = [list(map(float, seen)) for seen in state["seen"]]
