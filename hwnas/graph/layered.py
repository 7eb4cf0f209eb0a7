"""Layered drawing of a directed acyclic graph, after Sugiyama et al. 1981."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]

_SWEEPS = 12  # that order layers
_SETTLES = 60  # that place them
_APART = 22.0  # between neighbours in a layer
_SLIM = 14.0  # the same beside an edge that passes through


@dataclass(frozen=True)
class Link:
    """An edge between vertex numbers; ``leaves`` and ``enters`` are offsets from their centres."""

    source: int
    target: int
    leaves: float = 0.0
    enters: float = 0.0


@dataclass(frozen=True)
class Layout:
    """Centre of each vertex, the size of all, and for each link the points it goes through.

    Points come in pairs: between the two of a pair the link runs straight down a layer, from
    pair to pair it bends.
    """

    centres: list[Point]
    width: float
    height: float
    routes: list[list[Point]]


def layered(
    sizes: Sequence[Point], links: Sequence[Link], bottom: Sequence[int] = (), gap: float = 24.0
) -> Layout:
    """Place vertices of ``sizes`` (width, height), given in topological order, top to bottom.

    A vertex lies below all that lead to it (longest path), ``bottom`` ones in the last layer;
    barycentres order each layer. Deterministic.
    """
    rank = [0] * len(sizes)
    for link in sorted(links, key=lambda link: link.target):
        rank[link.target] = max(rank[link.target], rank[link.source] + 1)
    for vertex in bottom:
        rank[vertex] = max(rank)
    layers: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
    for vertex, r in enumerate(rank):
        layers[r].append(vertex)

    widths = [width for width, _ in sizes]
    hops: list[tuple[int, int, float, float]] = []  # links cut into pieces of one layer each
    chains: list[list[int]] = []
    for link in links:
        chain = [link.source]
        for r in range(rank[link.source] + 1, rank[link.target]):
            layers[r].append(len(widths))
            chain.append(len(widths))
            widths.append(0.0)
        chain.append(link.target)
        chains.append(chain)
        for a, b in pairwise(chain):
            leaves = link.leaves if a == link.source else 0.0
            hops.append((a, b, leaves, link.enters if b == link.target else 0.0))

    layers = _order(layers, hops, len(widths))
    x = _place(layers, hops, widths, len(sizes))
    left = min((x[v] - widths[v] / 2 for v in range(len(widths))), default=0.0)
    x = [value - left for value in x]

    heights = [max((sizes[v][1] for v in layer if v < len(sizes)), default=0) for layer in layers]
    top = [0.0]
    for height in heights:
        top.append(top[-1] + height + gap)
    centres = [(x[v], top[rank[v]] + heights[rank[v]] / 2) for v in range(len(sizes))]
    routes = []
    for link, chain in zip(links, chains, strict=True):
        first, last = chain[0], chain[-1]
        at = x[first] + link.leaves
        route = [(at, centres[first][1] + sizes[first][1] / 2)]
        route.append((at, top[rank[first]] + heights[rank[first]]))
        for r, v in enumerate(chain[1:-1], start=rank[first] + 1):
            route += [(x[v], top[r]), (x[v], top[r] + heights[r])]
        at = x[last] + link.enters
        route += [(at, top[rank[last]]), (at, centres[last][1] - sizes[last][1] / 2)]
        routes.append(route)
    width = max((x[v] + widths[v] / 2 for v in range(len(widths))), default=0.0)
    return Layout(centres, width, top[-1] - gap if layers else 0.0, routes)


Hops = list[tuple[int, int, float, float]]


def _order(layers: list[list[int]], hops: Hops, count: int) -> list[list[int]]:
    """The order in each layer with the fewest crossings among those that sweeps visit."""
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for a, b, _, _ in hops:
        above[b].append(a)
        below[a].append(b)
    best, least = [list(layer) for layer in layers], _crossings(layers, below)
    now = [list(layer) for layer in layers]
    for sweep in range(_SWEEPS):
        near = below if sweep % 2 else above
        for r in reversed(range(len(now))) if sweep % 2 else range(len(now)):
            at = {v: i for layer in now for i, v in enumerate(layer)}
            now[r].sort(
                key=lambda v: sum(at[u] for u in near[v]) / len(near[v]) if near[v] else at[v]
            )
        crossings = _crossings(now, below)
        if crossings < least:
            best, least = [list(layer) for layer in now], crossings
    return best


def _crossings(layers: list[list[int]], below: list[list[int]]) -> int:
    total = 0
    for upper, lower in pairwise(layers):
        at = {v: i for i, v in enumerate(lower)}
        ends = [at[b] for a in upper for b in sorted(below[a], key=at.__getitem__)]
        total += sum(later < end for i, end in enumerate(ends) for later in ends[i + 1 :])
    return total


def _place(layers: list[list[int]], hops: Hops, widths: list[float], real: int) -> list[float]:
    """Horizontal centres: each layer as near to its neighbours as order and widths allow.

    Pieces of long links pull hardest, so that those run straight (Gansner et al. 1993, 4.1).
    """
    above: list[list[tuple[int, float, float]]] = [[] for _ in widths]
    below: list[list[tuple[int, float, float]]] = [[] for _ in widths]
    for a, b, leaves, enters in hops:
        pull = (1.0, 2.0, 16.0)[(a >= real) + (b >= real)]
        above[b].append((a, leaves - enters, pull))
        below[a].append((b, enters - leaves, pull))
    x = [0.0] * len(widths)

    def settle(layer: list[int], wanted: list[Point]) -> None:
        offsets = [0.0]
        for a, b in pairwise(layer):
            slim = _SLIM if max(a, b) >= real else _APART
            offsets.append(offsets[-1] + (widths[a] + widths[b]) / 2 + slim)
        free = _isotonic([(w - o, pull) for (w, pull), o in zip(wanted, offsets, strict=True)])
        for v, f, o in zip(layer, free, offsets, strict=True):
            x[v] = f + o

    for layer in layers:
        settle(layer, [(0.0, 1.0)] * len(layer))
    for sweep in range(_SETTLES):
        sides = [(above,), (below,), (above, below)][sweep % 3]
        for layer in reversed(layers) if sweep % 3 == 1 else layers:
            wanted = []
            for v in layer:
                pulls = [(x[u] + shift, pull) for near in sides for u, shift, pull in near[v]]
                total = sum(pull for _, pull in pulls)
                mean = sum(at * pull for at, pull in pulls) / total if pulls else x[v]
                wanted.append((mean, total or 1.0))
            settle(layer, wanted)
    return x


def _isotonic(values: list[Point]) -> list[float]:
    """The non-decreasing sequence nearest to (value, weight) pairs, by pooling violators."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in values:
        mean, total, size = value, weight, 1
        while pools and pools[-1][0] > mean:
            before, more, n = pools.pop()
            mean = (before * more + mean * total) / (more + total)
            total, size = more + total, n + size
        pools.append((mean, total, size))
    return [mean for mean, _, size in pools for _ in range(size)]
