"""The largest eigenvalue of a Hessian, from measured gradients."""

from collections.abc import Mapping
from typing import Any

import numpy as np

_STEP = 1e-2  # of the finite difference, along a unit vector
_ROUNDS = 4  # of the iteration, which begins where the last measurement ended
_NOTHING = 1e-9  # of a product, left of it when it has no new direction


class Curvature:
    """Lanczos iteration: asks for gradients at two places a round, a little to each side.

    The product of the Hessian and a vector is a central difference of gradients (Pearlmutter 1994),
    so nothing but first-order gradients on the same data is needed. Each product is that of a power
    iteration without what is known; power iteration itself ends at the eigenvalue of the largest
    size, which far from a minimum may be the most negative (Golub & Van Loan 2013, chapter 10).
    """

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        vector = rng.standard_normal(n)
        self._vector = vector / np.linalg.norm(vector)
        self._vectors: list[np.ndarray] = []  # orthonormal, those of this measurement
        self._products: list[np.ndarray] = []  # of the Hessian and each
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
        self._vectors.append(self._vector)
        self._products.append(product)
        known, rest = np.array(self._vectors), product
        for _ in range(2):  # once leaves rounding errors along what is known
            rest = rest - known.T @ (known @ rest)
        length = float(np.linalg.norm(rest))
        if len(known) < _ROUNDS and length > _NOTHING * float(np.linalg.norm(product)):
            self._vector = rest / length
            return None
        projected = known @ np.array(self._products).T
        values, vectors = np.linalg.eigh((projected + projected.T) / 2)
        self._vector = vectors[:, -1] @ known
        self._vectors, self._products = [], []
        return float(values[-1])

    def state_dict(self) -> dict[str, Any]:
        """The vectors and how far it is."""
        ahead = [] if self._ahead is None else [self._ahead]
        return {
            "vector": self._vector,
            "vectors": self._vectors,
            "products": self._products,
            "ahead": ahead,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state_dict`."""
        self._vector = state["vector"]
        self._vectors, self._products = list(state["vectors"]), list(state["products"])
        self._ahead = state["ahead"][0] if state["ahead"] else None
