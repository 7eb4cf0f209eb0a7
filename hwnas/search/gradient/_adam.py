"""Adam for a handful of architecture parameters, without torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np


class Adam:
    """Kingma & Ba 2015, with the moments that DARTS uses (0.5, 0.999)."""

    def __init__(
        self, lr: float, shape: tuple[int, ...], betas: tuple[float, float] = (0.5, 0.999)
    ):
        self._lr = lr
        self._betas = betas
        self._t = 0
        self._m = np.zeros(shape)
        self._v = np.zeros(shape)

    def step(self, parameters: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """The parameters after one step down the gradient."""
        first, second = self._betas
        self._t += 1
        self._m = first * self._m + (1 - first) * gradient
        self._v = second * self._v + (1 - second) * gradient**2
        m = self._m / (1 - first**self._t)
        v = self._v / (1 - second**self._t)
        return np.asarray(parameters - self._lr * m / (np.sqrt(v) + 1e-8))

    def state_dict(self) -> dict[str, Any]:
        """Moments and step count."""
        return {"t": self._t, "m": self._m, "v": self._v}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state_dict`."""
        self._t, self._m, self._v = state["t"], state["m"], state["v"]
