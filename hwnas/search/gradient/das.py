"""DAS: layer hyperparameters as continuous sizes."""

from typing import Any

import numpy as np

from hwnas.core.choice import Choice
from hwnas.core.context import Context
from hwnas.core.mixture import Mixture
from hwnas.search.gradient._descent import Parameters
from hwnas.search.gradient.darts import Darts


class DAS(Darts):
    """Gradient descent on sizes of layers, such as kernels and numbers of filters.

    A choice whose options are ascending numbers has one parameter, its size, shape ``[1]``: a place
    among the options, in steps from one to the next, so that 1.25 is a quarter of the way from the
    second to the third. Only these two are computed, weighted 0.75 and 0.25, so that
    d loss / d size is the difference of what the loss gains by each. Sizes begin midway between
    options and stay within the first and the last; in the end the nearest option is taken, of two
    as near the smaller. Other choices are those of :class:`~hwnas.search.gradient.darts.Darts`.

    Two kernels that are mixed before anything that is not linear are one of the larger size, whose
    outer pixels count with the fraction: a mask that the size moves. Every option has weights of
    its own, so what the smaller one has adds to what the larger one has inside. A size is moved by
    what its two neighbours tell, so a better one behind a worse one is not found.

    The paper makes the space of layer hyperparameters continuous and learns them with the weights;
    how it goes from one size to the next is our reading of it. Sizes learn from validation data and
    weights from training data, in turn; ``estimator: {bilevel: false}`` takes both from one pass.
    """

    paper = (
        "Shin et al. 2018, Differentiable neural network architecture search, ICLR workshop,"
        " openreview.net/forum?id=BJ-MRKkwG"
    )

    def __init__(
        self, context: Context, weight_decay: float = 0.0, *, lr: float = 0.02, **options: Any
    ) -> None:
        # Decay is no option, as it would make every size the smallest.
        super().__init__(context, weight_decay=weight_decay, lr=lr, **options)
        # Nothing at all is a size like any other.
        self._barred = {n: i for n, i in self._barred.items() if not self._choices[n].ordered}

    def _begin(self, choice: Choice) -> np.ndarray:
        if not choice.ordered:
            return super()._begin(choice)
        return np.array([len(choice.options) // 2 - 0.5])

    def _weights(self, parameters: np.ndarray, choice: Choice) -> np.ndarray:
        if not choice.ordered:
            return super()._weights(parameters, choice)
        below, above = _neighbours(parameters, choice)
        weights = np.zeros(len(choice.options))
        weights[below] = above - parameters[0]
        weights[above] = parameters[0] - below
        return weights

    def _chained(self, parameters: np.ndarray, choice: Choice, given: np.ndarray) -> np.ndarray:
        if not choice.ordered:
            return super()._chained(parameters, choice, given)
        below, above = _neighbours(parameters, choice)
        return np.array([given[above] - given[below]])

    def _strengths(self, parameters: np.ndarray, choice: Choice) -> np.ndarray:
        if not choice.ordered:
            return super()._strengths(parameters, choice)
        return np.asarray(-np.abs(parameters[0] - np.arange(len(choice.options))))

    def _mixture(self, parameters: Parameters) -> Mixture:
        computed = {
            name: _neighbours(a, self._choices[name])
            for name, a in parameters.items()
            if self._choices[name].ordered
        }
        return Mixture(self._shares(parameters), computed)

    def _moved(
        self, before: np.ndarray, after: np.ndarray, choice: Choice, point: Mixture
    ) -> np.ndarray:
        return after.clip(0.0, len(choice.options) - 1.0) if choice.ordered else after

    @property
    def warnings(self) -> list[str]:
        """Signs of a collapse, and whether there are no sizes."""
        if any(choice.ordered for choice in self._choices.values()):
            return super().warnings
        missing = (
            "No choice of the space has ascending numbers as options, so there are no sizes and"
            " this is DARTS: search the space filters, or label such options by their sizes."
        )
        return [missing, *super().warnings]


def _neighbours(parameters: np.ndarray, choice: Choice) -> tuple[int, int]:
    """The options that a size is between, the last two where it is the last."""
    below = int(np.clip(np.floor(parameters[0]), 0, len(choice.options) - 2))
    return below, below + 1
