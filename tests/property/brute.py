"""Pareto notions by their definitions, slowly: what pymoo's results are compared with."""

from itertools import combinations

import numpy as np


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


def fronts(values: np.ndarray) -> list[list[int]]:
    """Peel off what nothing left dominates, again and again."""
    left, result = list(range(len(values))), []
    while left:
        first = [i for i in left if not any(dominates(values[j], values[i]) for j in left)]
        result.append(first)
        left = [i for i in left if i not in first]
    return result


def hypervolume(values: np.ndarray, reference: np.ndarray) -> float:
    """Inclusion and exclusion over the boxes between each row and the reference."""
    total = 0.0
    for size in range(1, len(values) + 1):
        for rows in combinations(range(len(values)), size):
            corner = values[list(rows)].max(axis=0)
            total -= (-1) ** size * float(np.prod(np.maximum(reference - corner, 0.0)))
    return total


def crowding(values: np.ndarray) -> np.ndarray:
    """Deb et al. 2002, crowding-distance-assignment, each objective divided by its range."""
    n, m = values.shape
    distance = np.zeros(n)
    for k in range(m):
        order = np.argsort(values[:, k], kind="stable")
        distance[order[0]] = distance[order[-1]] = np.inf
        span = values[order[-1], k] - values[order[0], k]
        for i in range(1, n - 1):
            if span:
                distance[order[i]] += (values[order[i + 1], k] - values[order[i - 1], k]) / span
    return distance / m  # pymoo takes the mean over objectives; the order is the same
