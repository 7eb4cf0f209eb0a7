"""Values of mean 0 and variance 1."""

import numpy as np


def standard(y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scaled values of each column, shape that of ``y [n, ...]``, and the means and deviations.

    A deviation of 0 is given as 1.
    """
    mean, spread = y.mean(axis=0), y.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return (y - mean) / spread, mean, spread
