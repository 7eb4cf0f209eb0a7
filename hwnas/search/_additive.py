"""A Gaussian process that is the sum of what several distances tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_JITTER = 1e-4  # variance, in that of the values
_STEPS = 60  # of L-BFGS, at most
# Mean and deviation of the normal priors of logarithms.
_VARIANCE, _LENGTH, _LUCK = (0.0, 1.0), (0.0, 1.5), (-5.0, 2.0)


@dataclass(frozen=True)
class Hyperparameters:
    """Variances and lengths of the parts, ``[n_parts]``, the variance of luck, and the evidence.

    ``reciprocal`` says what the process is of: values, or the reciprocals of their exponentials.
    """

    variances: np.ndarray
    lengths: np.ndarray
    luck: float
    reciprocal: bool
    evidence: float

    def kernel(self, distances: Sequence[np.ndarray]) -> np.ndarray:
        """The covariance of functions at ``distances [m, n]``."""
        parts = zip(self.variances, self.lengths, distances, strict=True)
        return np.asarray(sum(v * np.exp(-d / length) for v, length, d in parts))


class Additive:
    """A process whose kernel is a sum of exponential ones, of ``distances [n, n]`` each.

    Values ``y [n]`` are the truth and luck, whose variance is the same everywhere. A process of
    reciprocals sees exp(-y) instead, and luck there in proportion to it: where ``y`` is the
    logarithm of an error, small errors then differ more than large ones (Snelson et al. 2004,
    Warped Gaussian processes).
    """

    def __init__(
        self, learned: Hyperparameters, distances: Sequence[np.ndarray], y: np.ndarray
    ) -> None:
        from scipy.linalg import cho_solve

        self._learned = learned
        self._seen = _Seen(y, learned.reciprocal)
        self._total = float(learned.variances.sum())
        self._root = _root(learned.kernel(distances) + np.diag(learned.luck * self._seen.weights))
        self._solved = cho_solve((self._root, True), self._seen.z)

    def __call__(self, distances: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of values at ``distances [m, n]``, luck included, ``[m]``."""
        from scipy.linalg import solve_triangular

        cross = self._learned.kernel(distances)
        explained = (solve_triangular(self._root, cross.T, lower=True) ** 2).sum(axis=0)
        deviation = np.sqrt(np.maximum(self._total - explained, 0))
        return self._seen.back(cross @ self._solved, deviation, self._learned.luck)


def _root(covariance: np.ndarray) -> np.ndarray:
    """Its Cholesky factor, lower, with as much more noise as it takes: not all distances embed."""
    from scipy.linalg import LinAlgError, cholesky

    jitter = _JITTER
    while True:
        try:
            return np.asarray(cholesky(covariance + jitter * np.eye(len(covariance)), lower=True))
        except LinAlgError:
            jitter *= 10


class _Seen:
    """Values as a process sees them: ``z [n]``, and the variance of luck there, of mean 1."""

    def __init__(self, y: np.ndarray, reciprocal: bool) -> None:
        self._reciprocal = reciprocal
        self._center = float(y.mean())
        self._quality = np.exp(self._center - y) if reciprocal else np.ones_like(y)
        seen = -self._quality if reciprocal else y
        self._mean, self._spread = float(seen.mean()), float(seen.std()) or 1.0
        self.z = (seen - self._mean) / self._spread
        self.square = float(np.mean(self._quality**2))
        self.weights = self._quality**2 / self.square
        # By how much the density of values is that of what is seen.
        self.density = float(np.log(self._quality).sum() - len(y) * np.log(self._spread))

    def back(
        self, mean: np.ndarray, deviation: np.ndarray, luck: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Means and deviations of values; that of reciprocals is the one towards smaller values."""
        mean, deviation = self._mean + self._spread * mean, self._spread * deviation
        luck = luck * self._spread**2 / self.square
        if self._reciprocal:
            # Nothing is taken for worse than the worst value.
            quality = np.maximum(-mean, self._quality.min())
            mean, deviation = self._center - np.log(quality), np.log1p(deviation / quality)
        return mean, np.sqrt(deviation**2 + luck)


def learn(distances: Sequence[np.ndarray], y: np.ndarray, reciprocal: bool) -> Hyperparameters:
    """Hyperparameters of the greatest evidence times prior (Rasmussen & Williams 2006, chapter 5).

    A function of its arguments: every search begins at the means of the priors.
    """
    from scipy.linalg import cho_solve
    from scipy.optimize import minimize

    parts, seen = len(distances), _Seen(y, reciprocal)
    priors = np.array([_VARIANCE] * parts + [_LENGTH] * parts + [_LUCK])
    center, width = priors.T
    n, z = len(y), seen.z

    def loss(logs: np.ndarray) -> tuple[float, np.ndarray]:
        """Minus the logarithm of evidence times prior, and its slopes."""
        variances, lengths, luck = np.split(np.exp(logs), [parts, 2 * parts])
        of = zip(variances, lengths, distances, strict=True)
        kernels = [v * np.exp(-d / length) for v, length, d in of]
        away = (logs - center) / width
        root = _root(sum(kernels) + np.diag(luck * seen.weights))
        inverse = cho_solve((root, True), np.eye(n))
        solved = inverse @ z
        value = z @ solved / 2 + np.log(np.diag(root)).sum() + away @ away / 2
        slope = (inverse - np.outer(solved, solved)) / 2
        of_parts = [np.vdot(slope, k) for k in kernels]
        of_lengths = [
            np.vdot(slope, k * d) / x for k, d, x in zip(kernels, distances, lengths, strict=True)
        ]
        of_luck = luck * (np.diag(slope) @ seen.weights)
        return float(value), np.array([*of_parts, *of_lengths, *of_luck]) + away / width

    found = minimize(loss, center, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    variances, lengths, luck = np.split(np.exp(found.x), [parts, 2 * parts])
    evidence = seen.density - float(found.fun)
    return Hyperparameters(variances, lengths, float(luck[0]), reciprocal, evidence)
