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
        columns: dict[Kinds, tuple[list[int], list[int]]] = {}

        def table(found: Sequence[Traits]) -> np.ndarray:
            """What a network lacks is 0; kinds that no known network has are left out."""
            rows = np.zeros((len(found), 1 + len(places), _TRAITS))
            for row, (kinds, values) in zip(rows, found, strict=True):
                if kinds not in columns:
                    some = [i for i, kind in enumerate(kinds) if kind in places]
                    columns[kinds] = (
                        [0, *(1 + places[kinds[i]] for i in some)],
                        [
                            0,
                            *(1 + i for i in some),
                        ],
                    )
                to, of = columns[kinds]
                row[to] = values[of]
            return rows.reshape(len(rows), -1)

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
    n = len(places)
    number = np.zeros((len(of), 4 * n))  # on paths that end there: mean, of squares, least, most
    mean, square, least, most = (number[:, i * n : (i + 1) * n] for i in range(4))
    count, total = [1.0] * len(of), np.zeros(n)
    for v, (kinds, read) in enumerate(zip(of, net.inputs, strict=True)):
        if len(read) == 1:
            number[v] = number[read[0]]
            count[v] = count[read[0]]
        elif read:
            some = list(read)
            number[v, : 2 * n] = number[some, : 2 * n].sum(axis=0) / len(read)
            least[v] = least[some].min(axis=0)
            most[v] = most[some].max(axis=0)
            count[v] = sum(count[u] for u in read)
        for kind in kinds:
            i = places[kind]
            square[v, i] += 2 * mean[v, i] + 1
            mean[v, i] += 1
            least[v, i] += 1
            most[v, i] += 1
            total[i] += 1
    deviation = np.sqrt(np.maximum(square[-1] - mean[-1] ** 2, 0))
    seen = [mean[-1], deviation, least[-1], most[-1], np.log1p(total)]
    paths = [np.log(count[-1]), *[0.0] * (_TRAITS - 1)]
    return tuple(places), np.vstack([paths, np.transpose(seen)])


def _kinds(layer: Layer) -> Kinds:
    """None of what only joins."""
    if layer.kind in ("input", "output", "join"):
        return ()
    return layer.kind, (layer.form, layer.kernel, layer.stride)
