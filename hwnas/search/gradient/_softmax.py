"""The softmax of architecture parameters, and its derivative."""

import numpy as np


def softmax(parameters: np.ndarray) -> np.ndarray:
    """Positive weights that sum to one, shape ``[n_options]``."""
    e = np.exp(parameters - parameters.max())
    return np.asarray(e / e.sum())


def chained(weights: np.ndarray, given: np.ndarray) -> np.ndarray:
    """d value / d parameters from d value / d ``weights``, their softmax, ``[n_options]`` each."""
    return np.asarray(weights * (given - weights @ given))
