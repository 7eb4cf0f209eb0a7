"""Bayesian optimisation with the Weisfeiler-Lehman graph kernel."""

from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.search._gaussian import Process, fit
from hwnas.search._graphs import network
from hwnas.search._guess import Predict, stacked
from hwnas.search._modelled import Modelled
from hwnas.search._options import at_least
from hwnas.search._weisfeiler_lehman import Subtrees, products

_BOUNDS = np.log([[0.1, 100.0], [0.1, 10.0]])
"""Of the variance, where values have a variance of one, and of the length scale."""


class WL(Modelled):
    """A Gaussian process on the subtrees that networks have in common.

    NAS-BOWL, section 3: a network is the graph of its layers, described by how often each subtree
    of it occurs, up to a height of at most ``height``. That which the marginal likelihood prefers
    is taken, for each objective. The covariance of two networks is the inner product of their
    counts, scaled to unit length (``kernel: linear``), or a Gaussian function of the distance
    between them (``rbf``, which a long scale makes the former). The paper's experiments have the
    linear kernel on NAS-Bench-201; the other fits better there, and costs no more.

    ``startup`` networks are random; then the best of ``candidates`` is asked for, half of them
    mutants in the paper, here most (see :class:`Modelled`), by expected improvement. The paper's
    guiding of mutations by gradients of subtrees is left out, as it is from its main results.
    """

    paper = "Ru et al. 2021, NAS-BOWL, arXiv:2006.07556"

    def __init__(
        self,
        context: Context,
        *,
        startup: int = 20,
        candidates: int = 100,
        height: int = 3,
        kernel: Literal["linear", "rbf"] = "rbf",
    ) -> None:
        super().__init__(context, startup, candidates)
        at_least(0, height=height)
        self._linear = kernel == "linear"
        subtrees = Subtrees(height)
        self._subtrees = cache(lambda architecture: subtrees(network(context.space, architecture)))

    def _fit(
        self, architectures: Sequence[Architecture], values: np.ndarray, rng: np.random.Generator
    ) -> Predict:
        known = [self._subtrees(a) for a in architectures]
        kernels = products(known, known)
        fitted = [self._highest(kernels, column) for column in values.T]

        def predict(new: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
            cross = products([self._subtrees(a) for a in new], known)
            found = [
                process(
                    self._covariance(process.parameters, cross[height])[0],
                    np.full(len(new), np.exp(process.parameters[0])),
                )
                for height, process in fitted
            ]
            return stacked(found)

        return predict

    def _highest(self, kernels: np.ndarray, values: np.ndarray) -> tuple[int, Process]:
        """The height, and the process of that height, of the highest marginal likelihood."""
        bounds = _BOUNDS[:1] if self._linear else _BOUNDS
        processes = [
            fit(
                lambda p, k=kernel: self._covariance(p, k),  # type: ignore[misc]
                values,
                np.zeros(len(bounds)),
                bounds,
            )
            for kernel in kernels
        ]
        return max(enumerate(processes), key=lambda found: found[1].likelihood)

    def _covariance(
        self, parameters: np.ndarray, kernel: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of networks with these inner products, and its slopes in the parameters."""
        if self._linear:
            matrix = np.exp(parameters[0]) * kernel
            return matrix, matrix[None]
        apart = 2 * (1 - kernel) / np.exp(2 * parameters[1])
        matrix = np.exp(parameters[0] - apart / 2)
        return matrix, np.array([matrix, matrix * apart])
