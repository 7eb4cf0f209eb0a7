"""SNAS: stochastic neural architecture search."""

from typing import Any

import numpy as np

from hwnas.core.choice import Choice
from hwnas.core.context import Context
from hwnas.core.mixture import Mixture
from hwnas.core.proposal import Proposal
from hwnas.search._options import above
from hwnas.search.gradient._descent import Descent
from hwnas.search.gradient._gradient import Gradient
from hwnas.search.gradient._softmax import chained, softmax


class SNAS(Gradient):
    """Descends through weights drawn from a concrete distribution that becomes one-hot.

    Each step draws Z = softmax((alpha + Gumbel noise) / temperature) for every choice (equation 4)
    and takes the weight step and the gradient there, which reaches alpha through Z: the
    reparameterisation is unbiased for the expectation over the noise. The ``temperature`` falls
    linearly to ``coldest``. Costs enter by their expectation (section 2.3). In the paper weights
    and alpha learn from the same pass on training data: ``estimator: {bilevel: false}``.
    """

    paper = "Xie et al. 2019, SNAS, arXiv:1812.09926"

    def __init__(
        self,
        context: Context,
        *,
        lr: float = 3e-3,
        temperature: float = 1.0,
        coldest: float = 0.03,
        weight_decay: float = 1e-3,
        **options: Any,
    ) -> None:
        super().__init__(context, weight_decay, lr=lr, **options)
        above(0, temperature=temperature, coldest=coldest)
        self._warmest, self._coldest = temperature, coldest

    @property
    def temperature(self) -> float:
        """That of the present step."""
        done = self._step / max(1, self._steps - 1)
        return self._warmest + done * (self._coldest - self._warmest)

    def _propose(self, descent: Descent) -> Proposal:
        rng = self.context.rng
        drawn = {
            name: softmax((a + rng.gumbel(size=len(a))) / self.temperature)
            for name, a in descent.parameters.items()
        }
        return self.context.propose(Mixture(drawn), train=1, score=0, gradient=1)

    def _slope(
        self, parameters: np.ndarray, choice: Choice, point: Mixture, given: np.ndarray
    ) -> np.ndarray:
        return chained(point.weights(choice), given) / self.temperature
