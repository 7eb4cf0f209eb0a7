"""Stratified splits that depend on labels and seed only, never on global random state."""

from collections.abc import Sequence

import numpy as np

from hwnas.core.errors import HwnasError


def check_split(seed: int, **shares: float) -> None:
    """Raises :class:`HwnasError` for a split that cannot be, naming its key ``task.<name>``."""
    if seed < 0:
        raise HwnasError(f"task.seed: must not be negative, got {seed}.", "Allowed: 0, 1, 2, ...")
    for name, share in shares.items():
        if not 0.0 < share < 1.0:
            raise HwnasError(
                f"task.{name}: a share of the examples is needed, got {share}.",
                "Allowed: more than 0 and less than 1, e.g. 0.2.",
            )
    if sum(shares.values()) >= 1.0:
        keys = " + ".join(f"task.{name}" for name in shares)
        raise HwnasError(
            f"{keys}: {sum(shares.values()):g} leaves nothing to train on.",
            "Make the sum less than 1, e.g. 0.2 each.",
        )


def interleave(y: np.ndarray, seed: int) -> np.ndarray:
    """All rows ``[n]`` in a random order of which every beginning is stratified.

    ``y`` ``[n]`` are labels. So the first rows are a fair small version of the whole, whether a
    task keeps only them or an estimator scores only the first batches.
    """
    order = np.random.default_rng(seed).permutation(len(y))
    _, label, counts = np.unique(y[order], return_inverse=True, return_counts=True)
    rank = np.empty(len(y), dtype=np.int64)
    starts = np.cumsum(counts) - counts
    by_class = np.argsort(label, kind="stable")
    rank[by_class] = np.arange(len(y)) - starts[label[by_class]]
    return order[np.argsort((rank + 0.5) / counts[label], kind="stable")]


def partition(y: np.ndarray, shares: Sequence[float], seed: int) -> list[np.ndarray]:
    """Disjoint rows that cover ``y`` ``[n]``: the rest first, then one part a share.

    Each class gives each part its share, rounded, but at least one example as long as one is
    left for the rest. Rows are in the order of :func:`interleave`.
    """
    order = interleave(y, seed)
    part = np.zeros(len(y), dtype=np.int64)
    for c in np.unique(y):
        members = order[y[order] == c]
        end = len(members)
        for number, share in enumerate(shares, start=1):
            take = min(max(1, round(len(members) * share)), end - 1)
            part[members[end - take : end]] = number
            end -= take
    return [order[part[order] == number] for number in range(len(shares) + 1)]
