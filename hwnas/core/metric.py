"""A quantity that can be an objective."""

from dataclasses import dataclass
from typing import Any, Literal

Goal = Literal["min", "max"]


@dataclass(frozen=True)
class Metric:
    """A named quantity with its natural goal and unit.

    ``cheap`` metrics are known before training. ``worst`` bounds the quantity where the
    definition does (an error is at most 1); elsewhere the reference point is found by sampling.
    ``best`` is what it can be at best.
    """

    name: str
    unit: str = ""
    goal: Goal = "min"
    cheap: bool = False
    worst: float | None = None
    best: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """What a table of benchmark results says of one of its metrics."""
        return {"metric": self.name, "unit": self.unit, "goal": self.goal, "cheap": self.cheap}
