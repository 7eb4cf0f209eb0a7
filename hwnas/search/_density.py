"""Where points are dense, and draws that prefer where they are not."""

from collections.abc import Callable

import numpy as np


def log_density(
    points: np.ndarray, bandwidth: float | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """A Gaussian kernel density of ``points [n, d]``: from places ``[m, d]`` to logarithms ``[m]``.

    The ``bandwidth`` is in standard deviations of each coordinate, by default that of Scott (1992).
    Coordinates that are the same everywhere do not count; without points or coordinates the
    density is even.
    """
    if not len(points):
        return lambda at: np.zeros(len(at))
    spread = points.std(axis=0)
    varied = spread > 0
    if not varied.any():
        return lambda at: np.zeros(len(at))
    from sklearn.neighbors import KernelDensity

    scale, mean = spread[varied], points[:, varied].mean(axis=0)
    width = bandwidth or len(points) ** (-1 / (varied.sum() + 4))
    kernel = KernelDensity(bandwidth=width).fit((points[:, varied] - mean) / scale)
    return lambda at: np.asarray(kernel.score_samples((at[:, varied] - mean) / scale))


def draw(score: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """At most ``n`` indices drawn without replacement in proportion to ``exp(score)``.

    By Gumbel noise (Yellott 1977), which takes scores of any range.
    """
    return np.argsort(-(score + rng.gumbel(size=len(score))))[:n]
