"""What a model and known costs say of networks."""

from collections.abc import Callable, Sequence

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.objective import Objectives
from hwnas.search._costs import Costs

Predict = Callable[[Sequence[Architecture]], tuple[np.ndarray, np.ndarray]]
"""Means and standard deviations of what was fitted, shape ``[n, n_expensive]`` each.

Means may have a first axis more: of what may equally be true of the networks told.
"""


class Guess:
    """Expensive objectives as they are predicted, cheap ones as they are.

    ``expensive [n_objectives]`` says which is which.
    """

    def __init__(
        self, objectives: Objectives, expensive: np.ndarray, costs: Costs, predict: Predict
    ) -> None:
        self._objectives = objectives
        self._expensive = expensive
        self._costs = costs
        self._predict = predict

    def __call__(
        self, architectures: Sequence[Architecture]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Means ``[draws, n, n_objectives]``, deviations ``[n, n_objectives]``, violations ``[n]``.

        The latter are of cheap limits. A network whose costs cannot be told has no means.
        """
        n, objectives = len(architectures), len(self._objectives)
        means = np.empty((1, n, objectives))
        deviation, over = np.zeros((n, objectives)), np.zeros(n)
        if self._expensive.any() and architectures:
            mean, deviation[:, self._expensive] = self._predict(architectures)
            mean = mean.reshape(-1, *mean.shape[-2:])
            means = np.empty((len(mean), n, objectives))
            means[..., self._expensive] = mean
        for i, architecture in enumerate(architectures):
            costs = self._costs(architecture)
            if costs is None:
                means[:, i, ~self._expensive] = np.nan
            else:
                means[:, i, ~self._expensive] = self._costs.cheap.values(costs)
                over[i] = self._costs.cheap.violation(costs)
        return means, deviation, over

    def feasible(
        self, mean: np.ndarray, deviation: np.ndarray, logarithmic: np.ndarray
    ) -> np.ndarray:
        """The probability that all limits of expensive objectives are kept, shape ``[n]``.

        Means and deviations ``[n, n_objectives]`` are those of the logarithm where ``logarithmic
        [n_objectives]`` says so.
        """
        from scipy.special import ndtr

        result = np.ones(len(mean))
        for j, o in enumerate(self._objectives):
            if o.limit is not None and self._expensive[j]:
                limit = o.sign * o.limit
                if logarithmic[j]:
                    limit = np.log(limit) if limit > 0 else -np.inf
                result *= ndtr((limit - mean[:, j]) / np.maximum(deviation[:, j], 1e-12))
        return result


def stacked(found: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Means and deviations of each objective, shape ``[..., n]``, as ``[..., n, n_objectives]``."""
    means, deviations = zip(*found, strict=True)
    return np.stack(means, axis=-1), np.stack(deviations, axis=-1)
