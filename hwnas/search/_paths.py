"""What lies between the input and the output of networks: a distance for models to learn from."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.search._graphs import Network
from hwnas.search._layers import Layer
from hwnas.search._similarity import Distance

Kinds = tuple[Hashable, ...]
Traits = tuple[Kinds, np.ndarray]
_TRAITS = 5  # of each kind
_SAME = 1e-9  # a deviation that is none, but of rounding


class Paths:
    """Half the mean square of how far networks differ in what lies on their paths.

    A path leads from the input to the output. Of each kind of layer it has a number, of which the
    mean and the deviation over a random path are seen, the least and the most; and how many there
    are in the network, and how many paths, by their logarithms. A random path begins at the output
    and goes on to any of what a layer reads. Kinds are coarse (convolution, pooling) and fine
    (which operations, how large a kernel, whether the image is made smaller), and widths are not
    seen. Each difference is in standard deviations of the networks that are known. ``read`` gives
    the graph of a network.
    """

    def __init__(self, read: Callable[[Architecture], Network]) -> None:
        self._read = read
        self._traits: dict[Architecture, Traits] = {}

    def __call__(self, known: Sequence[Architecture]) -> Distance:
        found = [self._of(a) for a in known]
        places = {kind: i for i, kind in enumerate(dict.fromkeys(k for f in found for k in f[0]))}
        columns: dict[Kinds, tuple[np.ndarray, np.ndarray]] = {}

        def table(found: Sequence[Traits]) -> np.ndarray:
            """What a network lacks is 0; kinds that no known network has are left out."""
            rows = np.zeros((len(found), 1 + len(places), _TRAITS))
            for row, (kinds, values) in zip(rows, found, strict=True):
                if kinds not in columns:
                    pairs = [(1 + places[k], 1 + i) for i, k in enumerate(kinds) if k in places]
                    to, of = np.array([(0, 0), *pairs]).T
                    columns[kinds] = to, of
                to, of = columns[kinds]
                row[to] = values[of]
            return rows.reshape(len(rows), (1 + len(places)) * _TRAITS)

        rows = table(found)
        center, spread = rows.mean(axis=0), rows.std(axis=0)
        differ = spread > _SAME
        scale = np.where(differ, spread, 1.0) * np.sqrt(2 * max(1, differ.sum()))
        rows = (rows - center) / scale
        squares = (rows**2).sum(axis=1)

        def distance(architectures: Sequence[Architecture]) -> np.ndarray:
            at = (table([self._of(a) for a in architectures]) - center) / scale
            apart = (at**2).sum(axis=1)[:, None] + squares - 2 * at @ rows.T
            return np.asarray(np.maximum(apart, 0.0))

        return distance

    def _of(self, architecture: Architecture) -> Traits:
        if architecture not in self._traits:
            self._traits[architecture] = traits(self._read(architecture))
        return self._traits[architecture]


def traits(net: Network) -> Traits:
    """The kinds of layers, and what is seen of each, shape ``[1 + n_kinds, 5]``.

    That is the mean number on a path, its deviation, the least, the most, and the logarithm of one
    more than there are. In the first row there is only the logarithm of the number of paths.
    """
    of = [_kinds(layer) for layer in net.layers]
    places = {kind: i for i, kind in enumerate(dict.fromkeys(k for kinds in of for k in kinds))}
    none = [0.0] * len(places)
    # On paths that end at a layer: how many there are, and the mean, that of squares, the least and
    # the most. Lists, as arrays so small take longer.
    ends: list[tuple[float, list[list[float]]]] = []
    total = none.copy()
    for kinds, read in zip(of, net.inputs, strict=True):
        if len(read) == 1:
            count, known = ends[read[0]]
            mean, square, least, most = map(list.copy, known)
        elif read:
            count = sum(ends[u][0] for u in read)
            means, squares, leasts, mosts = zip(*(ends[u][1] for u in read), strict=True)
            mean = [sum(x) / len(read) for x in zip(*means, strict=True)]
            square = [sum(x) / len(read) for x in zip(*squares, strict=True)]
            least = [min(x) for x in zip(*leasts, strict=True)]
            most = [max(x) for x in zip(*mosts, strict=True)]
        else:
            count, (mean, square, least, most) = 1.0, (none.copy() for _ in range(4))
        for kind in kinds:
            i = places[kind]
            square[i] += 2 * mean[i] + 1
            mean[i] += 1
            least[i] += 1
            most[i] += 1
            total[i] += 1
        ends.append((count, [mean, square, least, most]))
    deviation = np.sqrt(np.maximum(np.array(square) - np.square(mean), 0))
    seen = [mean, deviation, least, most, np.log1p(total)]
    paths = [np.log(count), *[0.0] * (_TRAITS - 1)]
    return tuple(places), np.vstack([paths, np.transpose(seen)])


def _kinds(layer: Layer) -> Kinds:
    """None of what only joins."""
    if layer.kind in ("input", "output", "join"):
        return ()
    return layer.kind, (layer.form, layer.kernel, layer.stride)
