"""The largest eigenvalue of a Hessian, from measured gradients."""

from collections.abc import Mapping
from typing import Any

import numpy as np

_STEP = 1e-2  # of the finite difference, along a unit vector
_ROUNDS = 4  # of the power iteration, each from where the last measurement ended


class Curvature:
    """Power iteration: asks for gradients at two places a round, a little to each side.

    The product of the Hessian and a vector is a central difference of gradients (Pearlmutter 1994),
    so nothing but first-order gradients on the same data is needed.
    """

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        vector = rng.standard_normal(n)
        self._vector = vector / np.linalg.norm(vector)
        self._round = 0
        self._ahead: np.ndarray | None = None  # the gradient there

    @property
    def offset(self) -> np.ndarray:
        """Where the next gradient is wanted, from where the Hessian is, shape ``[n]``."""
        return self._vector * (_STEP if self._ahead is None else -_STEP)

    def learn(self, gradient: np.ndarray) -> float | None:
        """Hear of the gradient ``[n]`` there; the eigenvalue after the last one."""
        if self._ahead is None:
            self._ahead = gradient
            return None
        product = (self._ahead - gradient) / (2 * _STEP)
        self._ahead = None
        value = float(self._vector @ product)
        length = float(np.linalg.norm(product))
        if length > 0:
            self._vector = product / length
        self._round = (self._round + 1) % _ROUNDS
        return None if self._round else value

    def state_dict(self) -> dict[str, Any]:
        """The vector and how far it is."""
        ahead = [] if self._ahead is None else [self._ahead]
        return {"vector": self._vector, "round": self._round, "ahead": ahead}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state_dict`."""
        self._vector, self._round = state["vector"], state["round"]
        self._ahead = state["ahead"][0] if state["ahead"] else None
