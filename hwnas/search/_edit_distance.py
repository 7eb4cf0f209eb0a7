"""How many changes turn one network into another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.graph._canonical import Dag, digest
from hwnas.search._graphs import Network

_BATCH = 256  # pairs of networks at a time, each with a table of its own


@dataclass(frozen=True)
class Layers:
    """What the distance reads of a network: its layers in an order, and its skip-connections.

    ``forms [n]`` name the operations, ``sizes [n, 4]`` are width, kernel, stride and how often the
    layer is repeated. Of the connections that lead over other layers, ``skips [m, 2]`` has the
    layer at which each begins and over how many it leads.
    """

    forms: tuple[str, ...]
    sizes: np.ndarray
    skips: np.ndarray

    @classmethod
    def of(cls, network: Network) -> Layers:
        """Parts that repeat an earlier one are not layers of their own.

        The order is by the longest path from the input, and where that is the same does not depend
        on how the network was written.
        """
        first = network.first
        inputs: dict[int, list[int]] = {v: [] for v in sorted(set(first))}
        for v in inputs:
            inputs[v] = _behind(network, inputs, [first[u] for u in network.inputs[v]], v)
        layers = [v for v in inputs if network.layers[v].kind != "join"]
        place = {v: i for i, v in enumerate(layers)}
        edges = [[place[u] for u in inputs[v]] for v in layers]
        depth = [0] * len(layers)
        for i, read in enumerate(edges):
            depth[i] = max((depth[j] + 1 for j in read), default=0)
        names = [digest(network.layers[v].name.encode()) for v in layers]
        colours = Dag(names, [[(j, b"") for j in sorted(set(read))] for read in edges]).colours
        order = sorted(range(len(layers)), key=lambda i: (depth[i], colours[i]))
        rank = {i: r for r, i in enumerate(order)}
        skips = [(rank[j], rank[i] - rank[j]) for i, read in enumerate(edges) for j in read]
        found = [network.layers[layers[i]] for i in order]
        times = [first.count(layers[i]) for i in order]
        return cls(
            tuple(layer.form for layer in found),
            np.array(
                [(x.width, x.kernel, x.stride, n) for x, n in zip(found, times, strict=True)], float
            ),
            np.array(sorted(skip for skip in skips if skip[1] > 1), float).reshape(-1, 2),
        )

    @property
    def key(self) -> object:
        """The same for networks whose distance is 0."""
        return self.forms, self.sizes.tobytes(), self.skips.tobytes()


def _behind(
    network: Network, inputs: dict[int, list[int]], read: Sequence[int], before: int
) -> list[int]:
    """The layers that are read, those behind joins included, each once for each way."""
    found: list[int] = []
    for u in read:
        if u < before:  # not where a part that is repeated reads itself
            found += inputs[u] if network.layers[u].kind == "join" else [u]
    return found


def distances(pairs: Sequence[tuple[Layers, Layers]], balance: float) -> np.ndarray:
    """Those of pairs of networks, shape ``[n]``: of the layers plus ``balance`` times of the skips.

    Jin et al. 2019, section 3.1. Layers are matched in order, those of the same form at the mean
    relative difference of their sizes, other pairs and layers without a partner at 1. Skips are
    matched in pairs at the relative difference of their beginnings and lengths, those without a
    partner at 1.
    """
    parts = [pairs[i : i + _BATCH] for i in range(0, len(pairs), _BATCH)]
    layers = np.concatenate([_layers(part) for part in parts])
    return np.asarray(layers + balance * np.array([_skips(a.skips, b.skips) for a, b in pairs]))


def _layers(pairs: Sequence[tuple[Layers, Layers]]) -> np.ndarray:
    rows, columns = ([len(one.forms) for one in side] for side in zip(*pairs, strict=True))
    n, m = max(rows), max(columns)
    cost = np.ones((n + 1, m + 1, len(pairs)))
    for k, (a, b) in enumerate(pairs):
        same = np.equal.outer(np.array(a.forms, object), np.array(b.forms, object))
        apart = _relative(a.sizes[:, None], b.sizes).mean(axis=2)
        cost[1 : rows[k] + 1, 1 : columns[k] + 1, k] = np.where(same, apart, 1.0)
    # Fill the table one diagonal after another, for all pairs at once.
    table = np.empty((n + 1, m + 1, len(pairs)))
    table[:, 0] = np.arange(n + 1)[:, None]
    table[0] = np.arange(m + 1)[:, None]
    for diagonal in range(2, n + m + 1):
        i = np.arange(max(1, diagonal - m), min(n, diagonal - 1) + 1)
        j = diagonal - i
        table[i, j] = np.minimum(
            np.minimum(table[i - 1, j], table[i, j - 1]) + 1, table[i - 1, j - 1] + cost[i, j]
        )
    return np.asarray(table[rows, columns, range(len(pairs))])


def _skips(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.optimize import linear_sum_assignment

    left = abs(len(a) - len(b))
    if not (len(a) and len(b)):
        return float(left)
    apart = np.abs(a[:, None] - b).sum(axis=2) / np.maximum(a[:, None], b).sum(axis=2)
    return float(apart[linear_sum_assignment(apart)].sum()) + left


def _relative(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Differences over the larger of two, 0 where both are."""
    return np.asarray(np.abs(a - b) / np.maximum(np.maximum(a, b), 1e-12))


class Embedding:
    """Networks as points that are about as far from one another as the networks are.

    Bourgain 1985, On Lipschitz embedding of finite metric spaces in Hilbert space, as Jin et al.
    2019, Theorem 1, take it: a coordinate is the distance to the nearest of a random subset of the
    ``n`` networks known, for log n subsets of each of log n sizes. Divided by the root of their
    number no distance grows. A function of points that is positive definite makes a valid kernel.
    """

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        scales = max(1, int(np.ceil(np.log2(n))))
        self._subsets = [
            rng.choice(n, min(n, 2**scale), replace=False)
            for scale in range(scales)
            for _ in range(max(1, int(np.ceil(np.log(n)))))
        ]

    def __call__(self, distances: np.ndarray) -> np.ndarray:
        """Points ``[m, d]`` of networks with these distances ``[m, n]`` to the known ones."""
        nearest = [distances[:, subset].min(axis=1) for subset in self._subsets]
        return np.asarray(np.stack(nearest, axis=1) / np.sqrt(len(nearest)))
