"""How unlike networks are, seen in several ways: distances from 0 to 1 for models to learn from."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import chain

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.space import Space
from hwnas.search._graphs import Network, network
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
        self._known: dict[Architecture, Mapping[Hashable, int]] = {}

    def __call__(self, known: Sequence[Architecture]) -> Distance:
        rows = [self._counts(a) for a in known]
        steps: dict[Hashable, list[int]] = {}
        for row in rows:
            for name, count in row.items():
                steps.setdefault(name, []).append(count)
        # min(a, b) is the sum over the steps up to b, one of the counts that are known, of how much
        # of each a takes: so all intersections are one product of matrices.
        ends = {name: sorted(set(counts)) for name, counts in steps.items()}
        pairs = ((name, end) for name, counts in ends.items() for end in counts)
        at = {pair: i for i, pair in enumerate(pairs)}
        taken = np.zeros((len(rows), len(at)))
        for i, row in enumerate(rows):
            taken[i, [at[name, e] for name, c in row.items() for e in ends[name] if e <= c]] = 1
        totals = np.array([sum(row.values()) for row in rows], float)
        spans = {
            name: [(at[name, e], b, e - b) for b, e in zip([0, *es], es, strict=False)]
            for name, es in ends.items()
        }

        filled: dict[tuple[Hashable, int], tuple[list[int], list[int]]] = {}

        def fill(name: Hashable, count: int) -> tuple[list[int], list[int]]:
            """The columns that a count reaches, and how far it gets in each."""
            if (name, count) not in filled:
                reached = [s for s in spans.get(name, ()) if s[1] < count]
                shares = [min(count - begin, span) for _, begin, span in reached]
                filled[name, count] = [column for column, _, _ in reached], shares
            return filled[name, count]

        def distance(architectures: Sequence[Architecture]) -> np.ndarray:
            found = [self._counts(a) for a in architectures]
            own = np.array([sum(row.values()) for row in found], float)
            shares = np.zeros((len(found), len(at)))
            for share, row in zip(shares, found, strict=True):
                parts = [fill(name, count) for name, count in row.items()]
                share[list(chain(*[c for c, _ in parts]))] = list(chain(*[s for _, s in parts]))
            common = shares @ taken.T
            union = own[:, None] + totals - common
            shared = np.divide(common, union, out=np.ones_like(common), where=union > 0)
            return np.asarray(1 - shared)

        return distance

    def _counts(self, architecture: Architecture) -> Mapping[Hashable, int]:
        if architecture not in self._known:
            self._known[architecture] = self._count(architecture)
        return self._known[architecture]


class Choices:
    """The mean difference of the choices that either network answers.

    Of ordered options the difference of their places, of others whether they are others; a choice
    that only one of them is asked differs altogether.
    """

    def __init__(self, space: Space) -> None:
        self._encoding = Encoding(space)

    def __call__(self, known: Sequence[Architecture]) -> Distance:
        def distance(architectures: Sequence[Architecture]) -> np.ndarray:
            rows = self._encoding([*known, *architectures])
            columns = self._encoding.columns
            absent = np.isnan(rows).astype(float)
            asked = len(columns) - absent[len(known) :] @ absent[: len(known)].T
            ordered = np.array([c.choice.ordered for c in columns], bool)
            labels = [c for c in columns if not c.choice.ordered]
            total = np.full_like(asked, len(labels))
            if labels:
                hot = one_hot(rows[:, ~ordered], labels)  # where both lack the choice they agree
                total -= hot[len(known) :] @ hot[: len(known)].T
            for i in np.flatnonzero(ordered):
                a, b = rows[len(known) :, i, None], rows[: len(known), i]
                gap = np.abs(a - b) / max(1, columns[i].size - 1)
                total += np.where(np.isnan(gap), np.isnan(a) != np.isnan(b), gap)
            return np.asarray(np.divide(total, asked, out=np.zeros_like(total), where=asked > 0))

        return distance


def chains(space: Space, length: int) -> Callable[[Architecture], Mapping[Hashable, int]]:
    """Counts runs of up to ``length`` layers, each reading the one before, joins left out."""

    def count(architecture: Architecture) -> Mapping[Hashable, int]:
        return _chains(network(space, architecture), length)

    return count


def _chains(net: Network, length: int) -> Counter[Hashable]:
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
