"""MaskConnect: connectivity learning by gradient descent."""

from typing import Any

import numpy as np

from hwnas.core.choice import Choice
from hwnas.core.context import Context
from hwnas.core.mixture import Mixture
from hwnas.core.proposal import Proposal
from hwnas.search.gradient._descent import Descent
from hwnas.search.gradient._gradient import Gradient


class MaskConnect(Gradient):
    """Real-valued masks in [0, 1], binarised at random to as many as a choice takes.

    Each step draws the connections of every choice: ``k`` distinct ones, each with a probability in
    proportion to its mask (section 3.3), and the options of an operation, of which one is taken,
    likewise. Forward and backward pass use the binary masks; the gradient in them moves the real
    ones, which are clipped to [0, 1] (Algorithm 1). Ends with those of the largest masks. Every
    connection is computed, since the gradient is wanted of those not taken too. Other than in the
    paper the masks move by Adam, without the mean of the gradient over a choice, as only their
    proportions matter; and on validation data, unless ``estimator: {bilevel: false}``.
    """

    paper = "Ahmed & Torresani 2018, MaskConnect, arXiv:1807.11473"

    def __init__(self, context: Context, *, lr: float = 0.01, **options: Any) -> None:
        super().__init__(context, lr=lr, **options)

    def _begin(self, choice: Choice) -> np.ndarray:
        return np.full(len(choice.options), 0.5)

    def _weights(self, parameters: np.ndarray, choice: Choice) -> np.ndarray:
        total = parameters.sum()
        return parameters / total if total > 0 else np.full(len(parameters), 1 / len(parameters))

    def _chained(self, parameters: np.ndarray, choice: Choice, given: np.ndarray) -> np.ndarray:
        centred = given - self._weights(parameters, choice) @ given
        return np.asarray(centred / max(parameters.sum(), 1e-6))

    def _propose(self, descent: Descent) -> Proposal:
        drawn = {
            name: self._drawn(choice, descent.parameters[name])
            for name, choice in self._choices.items()
        }
        return self.context.propose(Mixture(drawn), train=1, score=0, gradient=1)

    def _drawn(self, choice: Choice, masks: np.ndarray) -> np.ndarray:
        """Binary masks, of which ``k`` are one."""
        chances = masks + 1e-6  # so that there are enough
        k = choice.k or 1
        taken = self.context.rng.choice(len(masks), k, replace=False, p=chances / chances.sum())
        return np.isin(np.arange(len(masks)), taken).astype(float)

    def _slope(
        self, parameters: np.ndarray, choice: Choice, point: Mixture, given: np.ndarray
    ) -> np.ndarray:
        return np.asarray(given - given.mean())

    def _moved(
        self, before: np.ndarray, after: np.ndarray, choice: Choice, point: Mixture
    ) -> np.ndarray:
        return after.clip(0.0, 1.0)
