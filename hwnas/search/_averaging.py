"""Gaussian processes averaged over what they are made of."""

from collections.abc import Mapping, Sequence

import numpy as np

from hwnas.search._standard import standard

LENGTHS = (0.1, 0.2, 0.4, 0.8, 1.6)  # of the distance, at which the correlation is 1/e
NOISES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # variance, in that of the function
_LEAST = 0.02  # weight of a member that is kept

Members = Mapping[tuple[int, float, float], float]
"""The weight of each process: of a distance by its index, a length and a noise."""


def weigh(distances: Sequence[np.ndarray], y: np.ndarray) -> Members:
    """Processes of exponential kernels of each of ``distances [n, n]``, weighted by evidence.

    The evidence is the marginal likelihood of values ``y [n]`` at the variance where it is greatest
    (Rasmussen & Williams 2006, chapter 5), so the average is that of Bayes with even priors
    (Hoeting et al. 1999, Bayesian model averaging). Members of next to no weight are left out.
    """
    z = standard(y)[0]
    evidence: dict[tuple[int, float, float], float] = {}
    for view, distance in enumerate(distances):
        for length in LENGTHS:
            values, vectors = np.linalg.eigh(np.exp(-distance / length))
            power = (vectors.T @ z) ** 2
            for noise in NOISES:
                spectrum = np.maximum(values, 0) + noise
                variance = max(float(np.mean(power / spectrum)), 1e-12)
                fit = -0.5 * (len(z) * np.log(variance) + np.log(spectrum).sum())
                evidence[view, length, noise] = float(fit)
    best = max(evidence.values())
    weights = {member: float(np.exp(fit - best)) for member, fit in evidence.items()}
    least = _LEAST * sum(weights.values())
    kept = {member: weight for member, weight in weights.items() if weight >= least}
    total = sum(kept.values())
    return {member: weight / total for member, weight in kept.items()}


class Posterior:
    """What ``members`` say once they know values ``y [n]`` at ``distances``, ``[n, n]`` each."""

    def __init__(self, members: Members, distances: Sequence[np.ndarray], y: np.ndarray) -> None:
        from scipy.linalg import cho_solve, cholesky

        z, self._mean, self._spread = standard(y)
        self._solved = []
        for (view, length, noise), weight in members.items():
            kernel = np.exp(-distances[view] / length) + noise * np.eye(len(y))
            root = cholesky(kernel, lower=True)
            alpha = cho_solve((root, True), z)
            variance = max(float(z @ alpha) / len(z), 1e-12)
            self._solved.append((view, length, weight, root, alpha, variance))

    def __call__(self, distances: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation without noise at ``distances [m, n]``, shape ``[m]`` each."""
        from scipy.linalg import solve_triangular

        means, variances, weights = [], [], []
        for view, length, weight, root, alpha, variance in self._solved:
            cross = np.exp(-distances[view] / length)
            means.append(cross @ alpha)
            explained = (solve_triangular(root, cross.T, lower=True) ** 2).sum(axis=0)
            variances.append(variance * np.maximum(1 - explained, 0))
            weights.append(weight)
        mean = np.average(means, axis=0, weights=weights)
        second = np.average(np.array(variances) + np.square(means), axis=0, weights=weights)
        deviation = np.sqrt(np.maximum(second - mean**2, 0))
        return mean * self._spread + self._mean, deviation * self._spread
