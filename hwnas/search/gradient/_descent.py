"""Architecture parameters under one preference, as they descend."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.gradient._adam import Adam
from hwnas.search.gradient._curvature import Curvature

Parameters = dict[str, np.ndarray]
"""Of every choice, shape ``[n]`` each: a number an option, unless a strategy has fewer."""


class Descent:
    """Parameters with an Adam each, and how curved the loss is where they are.

    ``wish`` weighs the objectives, by name.
    """

    def __init__(
        self,
        parameters: Parameters,
        wish: Mapping[str, float],
        lr: float,
        betas: tuple[float, float],
        rng: np.random.Generator,
    ) -> None:
        self.parameters = parameters
        self.wish = wish
        self.curvature = Curvature(sum(map(len, parameters.values())), rng)
        self.eigenvalues: list[float] = []
        self.resting = False
        self._adam = {name: Adam(lr, a.shape, betas) for name, a in parameters.items()}
        self._kept: list[Parameters] = []  # at the latest measurements

    def step(self, gradient: Parameters) -> Parameters:
        """Where a step of Adam down the gradient leads."""
        return {n: self._adam[n].step(a, gradient[n]) for n, a in self.parameters.items()}

    def aside(self) -> Parameters:
        """Where the curvature wants the next gradient."""
        ends = np.cumsum([len(a) for a in self.parameters.values()])[:-1]
        parts = np.split(self.curvature.offset, ends)
        return {n: a + d for (n, a), d in zip(self.parameters.items(), parts, strict=True)}

    def measure(self, gradient: Parameters, stop: float, patience: int) -> bool:
        """Hear of the gradient there; whether the eigenvalue is known with it.

        If its mean has grown to more than 1 / ``stop`` of what it was ``patience`` measurements
        before, the parameters return to those of then, and rest.
        """
        value = self.curvature.learn(np.concatenate([gradient[n] for n in self.parameters]))
        if value is None:
            return False
        self.eigenvalues.append(value)
        self._kept = [*self._kept[-patience:], self.parameters]
        if stop * self.growth(patience) > 1:
            self.parameters = self._kept[0]
            self.resting = True
        return True

    def growth(self, patience: int) -> float:
        """The mean of the last ``patience`` eigenvalues over that of as many before, or 0."""
        recent, before = self.eigenvalues[-patience:], self.eigenvalues[-2 * patience : -patience]
        if len(before) < patience or sum(before) <= 0:
            return 0.0
        return sum(recent) / sum(before)

    def state_dict(self) -> dict[str, Any]:
        """All of it but the wish."""
        return {
            "parameters": self.parameters,
            "adam": {name: adam.state_dict() for name, adam in self._adam.items()},
            "curvature": self.curvature.state_dict(),
            "eigenvalues": self.eigenvalues,
            "resting": self.resting,
            "kept": self._kept,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state_dict`."""
        self.parameters = dict(state["parameters"])
        for name, adam in self._adam.items():
            adam.load_state_dict(state["adam"][name])
        self.curvature.load_state_dict(state["curvature"])
        self.eigenvalues = list(state["eigenvalues"])
        self.resting = state["resting"]
        self._kept = [dict(kept) for kept in state["kept"]]
