"""What was told of a network, as the strategies remember it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.objective import Objectives
from hwnas.core.outcome import Outcome


@dataclass(frozen=True, eq=False)
class Told:
    """A network, the proposal that has its weights, and what the objectives are worth.

    ``values`` are to be minimised, shape ``[n_objectives]``; ``violation`` is by how much it passes
    the limits.
    """

    id: int
    architecture: Architecture
    metrics: Mapping[str, float]
    values: np.ndarray
    violation: float

    @classmethod
    def of(cls, outcome: Outcome, objectives: Objectives) -> "Told":
        """What an outcome that has not failed tells."""
        metrics = {o.name: float(outcome.metrics[o.name]) for o in objectives}
        return cls._new(outcome.proposal.id, outcome.proposal.architecture, metrics, objectives)

    @classmethod
    def _new(
        cls, id: int, architecture: Architecture, metrics: dict[str, float], objectives: Objectives
    ) -> "Told":
        values, violation = objectives.values(metrics), objectives.violation(metrics)
        return cls(id, architecture, metrics, values, violation)

    @cached_property
    def state(self) -> list[Any]:
        """Plain JSON, made once, because a snapshot may be written after every outcome."""
        return [self.id, self.architecture.to_json(), dict(self.metrics)]

    @classmethod
    def load(cls, state: Sequence[Any], objectives: Objectives) -> "Told":
        """The inverse of :attr:`state`."""
        id, architecture, metrics = state
        return cls._new(id, Architecture.from_json(architecture), metrics, objectives)


def table(told: Sequence[Told]) -> tuple[np.ndarray, np.ndarray]:
    """Values and violations of several, shapes ``[n, n_objectives]`` and ``[n]``."""
    return np.array([t.values for t in told]), np.array([t.violation for t in told])
