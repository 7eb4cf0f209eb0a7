"""How a single-objective method searches for a front."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.core.objective import Objectives

_RHO = 0.05


class Preference:
    """Preference vectors over the simplex, and the value of metrics under one.

    The value is the augmented Chebyshev function of objectives scaled by their running range
    (Knowles 2006, ParEGO), smaller is better. With one objective it orders as that objective
    does. Infeasible metrics come after all feasible ones, by violation.
    """

    def __init__(self, objectives: Objectives) -> None:
        self._objectives = objectives
        self._low = np.full(len(objectives), np.inf)
        self._high = np.full(len(objectives), -np.inf)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A vector drawn uniformly over the simplex, shape ``[n_objectives]``."""
        return rng.dirichlet(np.ones(len(self._objectives)))

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Widen the running ranges."""
        values = self._objectives.values(metrics)
        self._low = np.minimum(self._low, values)
        self._high = np.maximum(self._high, values)

    def value(self, metrics: Mapping[str, float], preference: np.ndarray) -> float:
        """The scalar to minimise, of metrics observed before; in [0, 1.05] if feasible."""
        violation = self._objectives.violation(metrics)
        if violation > 0:
            return 2.0 + violation
        span = np.where(self._high > self._low, self._high - self._low, 1.0)
        weighted = preference * (self._objectives.values(metrics) - self._low) / span
        return float(weighted.max() + _RHO * weighted.sum())

    def state_dict(self) -> dict[str, Any]:
        """The running ranges."""
        return {"low": self._low, "high": self._high}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state_dict`."""
        self._low, self._high = state["low"], state["high"]
