"""A relaxed point of a search space."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.core.choice import Choice


class Mixture:
    """A weight for every option of every relaxable choice, by choice name, each ``[n_options]``.

    ``active`` names the option indices that are really computed (all of them where absent), so
    that a sampled path costs one path. A one-hot mixture computes what the architecture does.
    """

    __slots__ = ("_weights", "active")
    discrete = False

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        active: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        self._weights = {name: np.asarray(w, dtype=np.float64) for name, w in weights.items()}
        self.active = dict(active or {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mixture) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(tuple(self._weights))

    def weights(self, choice: Choice) -> np.ndarray:
        """The weight of each option, shape ``[n_options]``."""
        return self._weights[choice.name]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON with full precision."""
        return {
            "weights": {name: w.tolist() for name, w in self._weights.items()},
            "active": {name: list(a) for name, a in self.active.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Mixture":
        """The inverse of :meth:`to_json`."""
        active = {name: tuple(a) for name, a in data["active"].items()}
        return cls({name: np.asarray(w) for name, w in data["weights"].items()}, active)
