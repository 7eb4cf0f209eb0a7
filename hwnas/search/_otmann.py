"""OTMANN: a distance between networks by optimal transport."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwnas.search._graphs import Network
from hwnas.search._layers import Layer

_SHARE = 0.1  # of the mass of all layers, which the input, the output and the decision have each
_UNLIKE = 4.0  # stands for an infinite cost: leaving both layers without a partner costs 2
_STEPS = 1_000_000  # of the network simplex, at most

Kinds = tuple[str, str, int]
"""What the cost of taking one layer for another depends on: its kind, form and kernel."""


@dataclass(frozen=True)
class Transport:
    """What the distance reads of a network: its layers in an order that does not depend on names.

    ``kinds`` names what they are, ``masses [n]`` what they weigh. ``paths [n, 6]`` are the lengths
    of the shortest and the longest path and of a random walk, from the input and to the output.
    """

    kinds: tuple[Kinds, ...]
    masses: np.ndarray
    paths: np.ndarray

    @classmethod
    def of(cls, network: Network) -> Transport:
        """Parts that repeat an earlier one are taken together with it.

        Their masses are added, their path lengths averaged; all paths are those of the whole
        network. Where values are put together is no layer and makes no path longer.
        """
        masses, paths = _masses(network), _paths(network)
        whole: dict[int, list[int]] = {}
        for v, first in enumerate(network.first):
            if network.layers[v].kind != "join":
                whole.setdefault(first, []).append(v)
        rows = sorted(
            (_kinds(network.layers[first]), float(masses[vs].sum()), tuple(paths[vs].mean(axis=0)))
            for first, vs in whole.items()
        )
        kinds, weights, lengths = zip(*rows, strict=True)
        return cls(kinds, np.array(weights), np.array(lengths))

    @cached_property
    def key(self) -> object:
        """The same for networks that no distance tells apart."""
        return self.kinds, self.masses.tobytes(), self.paths.tobytes()

    @cached_property
    def mass(self) -> float:
        """Of all layers."""
        return float(self.masses.sum())


class Distances:
    """Distances between networks, each computed once, for each weight of the ``structure``.

    Kandasamy et al. 2018, section 3: the least cost of matching the masses of the layers, where a
    unit of mass matched costs by how unlike the layers are (:func:`mismatch`) plus, weighted, how
    unlike their places are, and a unit left out costs 1 on either side. Networks are numbered as
    they are met; those that no distance tells apart have one number.
    """

    def __init__(self, structure: Sequence[float]) -> None:
        self._structure = tuple(structure)
        self._numbers: dict[object, int] = {}
        self._transports: list[Transport] = []
        self._kinds: dict[Kinds, int] = {}
        self._places: list[np.ndarray] = []  # of the kinds of each network in the table
        self._unlike = np.zeros((0, 0))
        self._known: dict[tuple[int, int], np.ndarray] = {}

    def number(self, network: Network) -> int:
        """That of a network."""
        transport = Transport.of(network)
        number = self._numbers.setdefault(transport.key, len(self._numbers))
        if number == len(self._transports):
            self._transports.append(transport)
            before = len(self._kinds)
            indices = [self._kinds.setdefault(k, len(self._kinds)) for k in transport.kinds]
            self._places.append(np.array(indices))
            if len(self._kinds) > before:
                self._unlike = np.array(
                    [[mismatch(a, b) for b in self._kinds] for a in self._kinds]
                )
        return number

    def __call__(self, a: Sequence[int], b: Sequence[int]) -> np.ndarray:
        """Those between numbered networks, shape ``[n_weights, n_a, n_b]``."""
        zero = np.zeros(len(self._structure))
        result = np.empty((len(self._structure), len(a), len(b)))
        for i, one in enumerate(a):
            for j, other in enumerate(b):
                pair = (one, other) if one < other else (other, one)
                if one != other and pair not in self._known:
                    self._known[pair] = self._between(*pair)
                result[:, i, j] = zero if one == other else self._known[pair]
        return result

    def masses(self, numbers: Sequence[int]) -> np.ndarray:
        """Of all layers of numbered networks, shape ``[n]``."""
        return np.array([self._transports[number].mass for number in numbers])

    def _between(self, one: int, other: int) -> np.ndarray:
        from ot.lp.emd_wrap import emd_c  # ot.emd2 does much else, which takes longer than this

        a, b = self._transports[one], self._transports[other]
        unlike = self._unlike[self._places[one][:, None], self._places[other]]
        places = np.abs(a.paths[:, None] - b.paths).mean(axis=2)
        total = a.mass + b.mass
        supply, demand = np.append(a.masses, b.mass) / total, np.append(b.masses, a.mass) / total
        demand *= supply.sum() / demand.sum()  # they must be equal to the last digit
        cost = np.ones((len(supply), len(demand)))
        cost[-1, -1] = 0.0
        found = []
        for weight in self._structure:
            np.minimum(unlike + weight * places, _UNLIKE, out=cost[:-1, :-1])
            found.append(emd_c(supply, demand, cost, _STEPS, 1)[1] * total)
        return np.array(found)


def mismatch(a: Kinds, b: Kinds) -> float:
    """What it costs to take a layer for another, next to 1 for leaving it out.

    As in Table 1 of the paper where it has such layers; other convolutions cost more than those
    of one form, as its own of residual blocks do.
    """
    if a == b:
        return 0.0
    if a[0] != b[0]:
        return _UNLIKE
    if a[0] == "conv":
        cost = np.sqrt(2 * abs(a[2] - b[2])) / 10
        return float(cost if a[1] == b[1] else 0.9 * cost + 0.1)
    if a[0] == "pool":
        return 0.25
    return 0.1 if a[0] == "dense" else _UNLIKE


def _kinds(layer: Layer) -> Kinds:
    return layer.kind, layer.form, layer.kernel


def _masses(network: Network) -> np.ndarray:
    """Those of the layers, shape ``[n]``; a share of their sum for those that do not compute."""
    masses = np.array([layer.mass for layer in network.layers])
    decision = [v for v in network.inputs[-1] if network.layers[v].kind != "input"]
    ends = [v for v, layer in enumerate(network.layers) if layer.kind in ("input", "output")]
    masses[decision] = 0.0
    masses[[v for v, layer in enumerate(network.layers) if layer.kind == "join"]] = 0.0
    share = max(_SHARE * masses.sum(), 1.0)
    masses[ends] = share
    if decision:
        masses[decision] = share / len(decision)
    return masses


def _paths(network: Network) -> np.ndarray:
    """Shortest, longest and mean lengths from the input and to the output, shape ``[n, 6]``."""
    n = len(network.layers)
    steps = [0.0 if layer.kind == "join" else 1.0 for layer in network.layers]
    columns = []
    for measure in (min, max, _mean):
        up, down = [0.0] * n, [0.0] * n
        for v, inputs in enumerate(network.inputs):
            if inputs:
                up[v] = measure(up[u] + steps[u] for u in inputs)
        for v in reversed(range(n)):
            if network.readers[v]:
                down[v] = steps[v] + measure(down[r] for r in network.readers[v])
        columns += [up, down]
    return np.round(columns, 9).T  # the last digits depend on the order


def _mean(lengths: Iterable[float]) -> float:
    known = list(lengths)
    return sum(known) / len(known)
