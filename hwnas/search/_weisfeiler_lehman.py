"""The Weisfeiler-Lehman subtree kernel."""

from collections.abc import Sequence

import numpy as np

from hwnas.search._graphs import Network


class Subtrees:
    """The subtrees of networks (Shervashidze et al. 2011, Weisfeiler-Lehman graph kernels).

    A layer's subtree of height 0 is the layer itself, one of height h + 1 that of height h with
    those of height h of all layers that it reads. Subtrees are numbered as they are met.
    """

    def __init__(self, height: int) -> None:
        self.height = height
        self._numbers: dict[object, int] = {}

    def __call__(self, network: Network) -> list[np.ndarray]:
        """The numbers of its subtrees of each height, shape ``[n_layers]`` each."""
        colours = [self._number(layer.name) for layer in network.layers]
        found = [np.array(colours)]
        for _ in range(self.height):
            colours = [
                self._number((colours[v], *sorted(colours[u] for u in inputs)))
                for v, inputs in enumerate(network.inputs)
            ]
            found.append(np.array(colours))
        return found

    def _number(self, subtree: object) -> int:
        return self._numbers.setdefault(subtree, len(self._numbers))


def products(a: Sequence[list[np.ndarray]], b: Sequence[list[np.ndarray]]) -> np.ndarray:
    """Kernels of networks, given by their subtrees, shape ``[n_heights, n_a, n_b]``.

    That of height h is the inner product of the counts of all subtrees up to it, divided by the
    lengths of both vectors of counts.
    """
    from scipy.sparse import csr_array

    size = 1 + max(int(numbers.max()) for subtrees in (*a, *b) for numbers in subtrees)

    def counts(networks: Sequence[list[np.ndarray]], height: int) -> csr_array:
        columns = [subtrees[height] for subtrees in networks]
        ends = np.cumsum([0, *map(len, columns)])
        numbers = np.concatenate(columns)
        rows = csr_array((np.ones(len(numbers)), numbers, ends), shape=(len(networks), size))
        rows.sum_duplicates()
        return rows

    result, inner, left, right = [], np.zeros(1), np.zeros(1), np.zeros(1)
    for height in range(len(a[0])):
        x, y = counts(a, height), counts(b, height)
        inner = inner + (x @ y.T).toarray()
        left = left + x.multiply(x).sum(axis=1)
        right = right + y.multiply(y).sum(axis=1)
        result.append(inner / np.sqrt(np.outer(left, right)))
    return np.array(result)
