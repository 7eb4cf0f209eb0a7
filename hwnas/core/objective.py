"""What a search optimises."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.core.metric import Metric


@dataclass(frozen=True)
class Objective:
    """A metric to optimise, with an optional hard ``limit`` in the metric's own unit."""

    metric: Metric
    limit: float | None = None

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.metric.name

    @property
    def sign(self) -> float:
        """+1 to minimise, -1 to maximise: ``sign * value`` is always to be made small."""
        return 1.0 if self.metric.goal == "min" else -1.0

    def to_json(self) -> dict[str, Any]:
        """As it stands in ``front.json``."""
        m = self.metric
        return {"name": m.name, "goal": m.goal, "unit": m.unit, "limit": self.limit}


class Objectives(Sequence[Objective]):
    """The objectives of a run, in order, and their values as arrays to be minimised."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._objectives = tuple(objectives)

    def __getitem__(self, index: Any) -> Any:
        return self._objectives[index]

    def __len__(self) -> int:
        return len(self._objectives)

    def __iter__(self) -> Iterator[Objective]:
        return iter(self._objectives)

    def values(self, metrics: Mapping[str, float]) -> np.ndarray:
        """Signed values, smaller is better, shape ``[n_objectives]``."""
        return np.array([o.sign * metrics[o.name] for o in self._objectives])

    def violation(self, metrics: Mapping[str, float]) -> float:
        """By how much the limits are passed, as a sum of shares of each limit; 0 if feasible."""
        total = 0.0
        for o in self._objectives:
            if o.limit is not None:
                over = o.sign * (metrics[o.name] - o.limit)
                total += max(0.0, over) / (abs(o.limit) or 1.0)
        return total
