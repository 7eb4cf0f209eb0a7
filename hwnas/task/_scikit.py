"""Data that comes with scikit-learn."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images of handwritten digits, ``[1797, 8, 8]`` from 0 to 16, and which they are, ``[1797]``.

    From the file of ``load_digits``, for to import that takes longer than to train on them.
    """
    spec = find_spec("sklearn")  # which does not import it
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        rows = np.loadtxt(path, delimiter=",", dtype=np.uint8)
        return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits  # of a release that has it elsewhere

    data = load_digits()
    return data.images.astype(np.uint8), data.target.astype(np.int64)
