"""Gaussian process regression on covariance matrices."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwnas.search._standard import standard

Covariance = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From hyperparameters ``[p]`` to a matrix ``[n, n]`` and its derivatives ``[p, n, n]``."""

NOISE = np.log([1e-4, 0.2])
"""Bounds of the logarithm of the variance of the noise, where values have a variance of one."""


_JITTER = 1e-6  # of the mean variance, by which a matrix may fail to be positive


@dataclass(frozen=True)
class Process:
    """A process fitted to values ``[n]``, which it scales to a mean of 0 and a variance of 1.

    ``parameters`` are those of the covariance; ``likelihood`` is the logarithm of the marginal
    likelihood of the scaled values.
    """

    parameters: np.ndarray
    noise: float
    likelihood: float
    mean: np.ndarray
    scale: np.ndarray
    _root: np.ndarray
    _weights: np.ndarray
    _kept: np.ndarray | None

    def __call__(self, cross: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations ``[m]`` of the function without noise.

        ``cross [m, n]`` are the covariances with what it was fitted to, ``prior [m]`` the variances
        before.
        """
        from scipy.linalg import solve_triangular

        if self._kept is not None:
            cross = cross @ self._kept
        explained = (solve_triangular(self._root, cross.T, lower=True) ** 2).sum(axis=0)
        deviation = np.sqrt(np.maximum(prior - explained, 0.0))
        return cross @ self._weights * self.scale + self.mean, deviation * self.scale


def fit(
    covariance: Covariance, y: np.ndarray, begin: np.ndarray, bounds: np.ndarray, steps: int = 50
) -> Process:
    """The process whose hyperparameters maximise the marginal likelihood of values ``y [n]``.

    (Rasmussen & Williams 2006, chapter 5), by at most ``steps`` of L-BFGS from ``begin [p]`` within
    ``bounds [p, 2]``; the variance of the noise is found as well. A matrix that is not positive
    semidefinite is replaced by the nearest that is (as Kandasamy et al. 2018 do), and of the
    covariances with others what lies along the directions given up is left out.
    """
    from scipy.linalg import cho_solve, cholesky
    from scipy.optimize import minimize

    z, mean, scale = standard(y)
    n = len(z)

    def rooted(
        parameters: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        matrix, slopes = covariance(parameters[:-1])
        matrix, kept = nearest(matrix)
        return cholesky(matrix + np.exp(parameters[-1]) * np.eye(n), lower=True), slopes, kept

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        root, slopes, _ = rooted(parameters)
        weights = cho_solve((root, True), z)
        value = 0.5 * z @ weights + np.log(np.diag(root)).sum() + 0.5 * n * np.log(2 * np.pi)
        inner = cho_solve((root, True), np.eye(n)) - np.outer(weights, weights)
        slope = 0.5 * np.append(
            np.einsum("ij,pij->p", inner, slopes), np.exp(parameters[-1]) * np.trace(inner)
        )
        return float(value), slope

    found = minimize(
        loss,
        np.append(begin, np.log(0.01)),
        jac=True,
        method="L-BFGS-B",
        bounds=np.vstack([bounds, NOISE]),
        options={"maxiter": steps},
    )
    root, _, kept = rooted(found.x)
    weights = cho_solve((root, True), z)
    noise = float(np.exp(found.x[-1]))
    return Process(found.x[:-1], noise, -float(found.fun), mean, scale, root, weights, kept)


def nearest(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The nearest positive semidefinite matrix to a symmetric one, in the Frobenius norm.

    And the projection on the directions kept, None if they are all.
    """
    try:
        np.linalg.cholesky(matrix + _JITTER * np.trace(matrix) / len(matrix) * np.eye(len(matrix)))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrix)
        vectors = vectors[:, values > 0]
        return (vectors * values[values > 0]) @ vectors.T, vectors @ vectors.T
    return matrix, None
