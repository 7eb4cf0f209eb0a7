"""Whether strategies differ: shares of the best hypervolume, ranks and tests."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Curve = Sequence[tuple[float, float]]
"""What was spent, and the hypervolume from there on."""


def sampled(curve: Curve, budget: int) -> np.ndarray:
    """A curve after 1, 2, ... ``budget`` evaluations, shape ``[budget]``; 0 before it begins."""
    spent = np.array([at for at, _ in curve])
    values = np.array([0.0, *(value for _, value in curve)])
    return np.asarray(values[np.searchsorted(spent, np.arange(1, budget + 1) + 1e-6)])


def ranking(curves: Mapping[str, np.ndarray], baseline: str) -> list[dict[str, Any]]:
    """Strategies, best first, from their curves of shape ``[n_seeds, budget]``.

    ``mean`` and ``std`` are over seeds at each budget; ``rank`` is the mean over seeds of the rank
    at the last; ``p`` is that of a one-sided Mann-Whitney test against ``baseline`` at the last,
    corrected for their number by Holm (1979); None for the baseline.
    """
    from scipy.stats import rankdata

    last = {name: curve[:, -1] for name, curve in curves.items()}
    ranks = rankdata([-values for values in last.values()], axis=0).mean(axis=1)
    others = [name for name in curves if name != baseline]
    raw = [_better(last[name], last[baseline]) for name in others]
    p = dict(zip(others, holm(raw), strict=True))
    rows = [
        {
            "name": name,
            "mean": curve.mean(axis=0).tolist(),
            "std": curve.std(axis=0, ddof=1 if len(curve) > 1 else 0).tolist(),
            "final": last[name].tolist(),
            "rank": float(rank),
            "p": p.get(name),
        }
        for (name, curve), rank in zip(curves.items(), ranks, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["mean"][-1])


def _better(first: np.ndarray, second: np.ndarray) -> float:
    """How likely such a lead is by chance (Mann & Whitney 1947)."""
    from scipy.stats import mannwhitneyu

    if np.ptp([*first, *second]) == 0:
        return 1.0
    return float(mannwhitneyu(first, second, alternative="greater").pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm 1979), in the order given."""
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    corrected = np.minimum(1.0, np.maximum.accumulate(np.asarray(p, dtype=float)[order] * factors))
    result = np.empty(len(p))
    result[order] = corrected
    return [float(value) for value in result]
