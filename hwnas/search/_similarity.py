"""How unlike networks are, seen in several ways: distances from 0 to 1 for models to learn from."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.space import Space
from hwnas.search._graphs import Network
from hwnas.space.encoding import Encoding, one_hot

Distance = Callable[[Sequence[Architecture]], np.ndarray]
"""From ``m`` networks to their distances from ``n`` known ones, shape ``[m, n]``."""

View = Callable[[Sequence[Architecture]], Distance]
"""What measures the distance from networks that are known from then on."""


class Counts:
    """One minus the min-max kernel of what is counted in two networks (Ralaivola et al. 2005).

    That is the size of the intersection of two multisets over that of their union.
    """

    def __init__(self, count: Callable[[Architecture], Mapping[Hashable, int]]) -> None:
        self._count = count
        self._columns: dict[tuple[Hashable, int], int] = {}
        self._known: dict[Architecture, np.ndarray] = {}

    def __call__(self, known: Sequence[Architecture]) -> Distance:
        # Each count is so many ones, so that all intersections are one product of matrices.
        rows = [self._ones(a) for a in known]
        used = np.unique(np.concatenate([*rows, np.zeros(0, int)]))
        width = len(self._columns)
        place = np.full(width + 1, len(used))  # what no known network has comes last, and goes
        place[used] = np.arange(len(used))

        def table(rows: Sequence[np.ndarray]) -> np.ndarray:
            found = np.zeros((len(rows), len(used) + 1))
            for row, ones in zip(found, rows, strict=True):
                row[place[np.minimum(ones, width)]] = 1
            return found[:, :-1]

        taken = table(rows).T
        totals = np.array([len(row) for row in rows], float)

        def distance(architectures: Sequence[Architecture]) -> np.ndarray:
            found = [self._ones(a) for a in architectures]
            own = np.array([len(row) for row in found], float)
            common = table(found) @ taken
            union = own[:, None] + totals - common
            shared = np.divide(common, union, out=np.ones_like(common), where=union > 0)
            return np.asarray(1 - shared)

        return distance

    def _ones(self, architecture: Architecture) -> np.ndarray:
        """The columns of all that is counted in a network."""
        if architecture not in self._known:
            found = self._count(architecture)
            pairs = [(name, i) for name, count in found.items() for i in range(count)]
            columns = [self._columns.setdefault(pair, len(self._columns)) for pair in pairs]
            self._known[architecture] = np.array(columns, int)
        return self._known[architecture]


class Choices:
    """The mean difference of the choices that either network answers.

    Of ordered options the difference of their places, of others whether they are others; a choice
    that only one of them is asked differs altogether.
    """

    def __init__(self, space: Space) -> None:
        self._encoding = Encoding(space)

    def __call__(self, known: Sequence[Architecture]) -> Distance:
        rows = self._encoding(known)

        def distance(architectures: Sequence[Architecture]) -> np.ndarray:
            nonlocal rows
            at = self._encoding(architectures)
            if rows.shape[1] < at.shape[1]:  # choices that no known network has
                rows = self._encoding(known)
            columns = self._encoding.columns
            asked = len(columns) - np.isnan(at).astype(float) @ np.isnan(rows).astype(float).T
            ordered = np.array([c.choice.ordered for c in columns], bool)
            labels = [c for c in columns if not c.choice.ordered]
            total = np.full_like(asked, len(labels))
            if labels:  # where both lack the choice they agree
                total -= one_hot(at[:, ~ordered], labels) @ one_hot(rows[:, ~ordered], labels).T
            for i in np.flatnonzero(ordered):
                a, b = at[:, i, None], rows[:, i]
                gap = np.abs(a - b) / max(1, columns[i].size - 1)
                total += np.where(np.isnan(gap), np.isnan(a) != np.isnan(b), gap)
            return np.asarray(np.divide(total, asked, out=np.zeros_like(total), where=asked > 0))

        return distance


def chains(net: Network, length: int) -> Mapping[Hashable, int]:
    """Counts runs of up to ``length`` layers, each reading the one before, joins left out."""
    producers: list[tuple[int, ...]] = []
    for inputs in net.inputs:
        reached = [u for v in inputs for u in (producers[v] if _join(net, v) else (v,))]
        producers.append(tuple(reached))
    found: Counter[Hashable] = Counter()
    ending: list[list[tuple[str, ...]]] = []
    for v, layer in enumerate(net.layers):
        runs: list[tuple[str, ...]] = [(layer.name,)]
        if not _join(net, v):
            runs += [(*r, layer.name) for u in producers[v] for r in ending[u] if len(r) < length]
            found.update(runs)
        ending.append(runs)
    return found


def _join(net: Network, v: int) -> bool:
    return net.layers[v].kind == "join"
