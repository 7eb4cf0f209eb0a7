"""A network as a graph of labelled layers, for models and distances that read its structure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from hwnas.core.architecture import Architecture
from hwnas.core.space import Space
from hwnas.graph.graph import INPUT, Graph
from hwnas.graph.ops.sum import Sum
from hwnas.search._layers import Layer, endpoint, keeps_zero, layer
from hwnas.space.replay import build


@dataclass(frozen=True)
class Network:
    """Layers in topological order, from the input to the output, and which ones each reads.

    What does nothing is left out: identities, sums of one term, zeros and what they become, and
    what does not lead to the output. A sum inside another is part of it if nothing else reads it.
    A layer that has only zeros to read reads nothing.
    """

    layers: tuple[Layer, ...]
    inputs: tuple[tuple[int, ...], ...]

    @cached_property
    def readers(self) -> tuple[tuple[int, ...], ...]:
        """Which layers read each."""
        found: list[list[int]] = [[] for _ in self.layers]
        for v, inputs in enumerate(self.inputs):
            for u in inputs:
                found[u].append(v)
        return tuple(map(tuple, found))

    @cached_property
    def first(self) -> tuple[int, ...]:
        """For each layer, the one that it repeats, itself if it repeats none.

        The network is cut where a single value passes; parts that are the same and follow one
        another, such as the cells of a stage, repeat the first of them.
        """
        parts, known = [], dict[object, int]()
        start = 0
        for end in self._cuts():
            part = tuple(range(start, end))
            look = tuple((self.layers[v], tuple(u - start for u in self.inputs[v])) for v in part)
            parts.append((known.setdefault(look, len(known)), part))
            start = end
        first = list(range(len(self.layers)))
        period = 1
        while 2 * period <= len(parts):
            parts = list(_folded(parts, period, known, first))
            period += 1
        for v, u in enumerate(first):
            first[v] = first[u]
        return tuple(first)

    def _cuts(self) -> Iterator[int]:
        """The ends of the parts: one past each layer that no edge leads over."""
        reach = 0
        for v, readers in enumerate(self.readers):
            if reach <= v:
                yield v + 1
            reach = max(reach, *readers, v)


_Part = tuple[int, tuple[int, ...]]
"""What a part looks like, and its layers."""


def _folded(
    parts: list[_Part], period: int, known: dict[object, int], first: list[int]
) -> Iterator[_Part]:
    """``parts`` with repeats of the same ``period`` of them left out, noted in ``first``."""
    looks = [look for look, _ in parts]
    i = 0
    while i < len(parts):
        end = i + period
        while looks[end : end + period] == looks[i : i + period] and end + period <= len(parts):
            end += period
        times = (end - i) // period
        if times == 1:
            yield parts[i]
            i += 1
            continue
        for j in range(i, end):
            whole = i + (j - i) % period
            for u, v in zip(parts[whole][1], parts[j][1], strict=True):
                first[v] = u
        for look, part in parts[i : i + period]:
            yield known.setdefault((look, times), len(known)), part
        i = end


def network(space: Space, architecture: Architecture) -> Network:
    """The graph of the layers of an architecture."""
    return of(build(space, architecture))


def of(graph: Graph) -> Network:
    """The graph of the layers of a network that is not relaxed."""
    layers: list[Layer] = [endpoint("input", graph.input.type)]
    inputs: list[tuple[int, ...]] = [()]
    values: dict[str, int | None] = {INPUT: 0}  # None: zeros

    def add(new: Layer, read: Iterable[int]) -> int:
        layers.append(new)
        inputs.append(tuple(read))
        return len(layers) - 1

    for node in graph:
        given = [values[i.id] for i in node.inputs]
        assert node.op is not None
        types = tuple(i.type for i in node.inputs)
        made = layer(node.op, types)
        read = [v for v in given[: node.op.reads] if v is not None]
        if made is None:
            values[node.id] = given[0]
        elif not read and keeps_zero(node.op):
            values[node.id] = None
        elif node.op.__class__ is Sum and len(read) == 1:
            values[node.id] = read[0]
        else:
            values[node.id] = add(made, read)
    last = values[graph.output.id]
    add(endpoint("output", graph.output.type), () if last is None else (last,))
    return _needed(*_flat(layers, inputs))


def _flat(
    layers: list[Layer], inputs: list[tuple[int, ...]]
) -> tuple[list[Layer], list[tuple[int, ...]]]:
    """Sums that one other sum alone reads, once, are left without a reader."""
    count = [0] * len(layers)
    for read in inputs:
        for u in read:
            count[u] += 1

    def terms(v: int) -> Iterator[int]:
        for u in inputs[v]:
            if layers[v].form == layers[u].form == "Sum" and count[u] == 1:
                yield from terms(u)
            else:
                yield u

    return layers, [tuple(terms(v)) for v in range(len(layers))]


def _needed(layers: list[Layer], inputs: list[tuple[int, ...]]) -> Network:
    """Without the layers, but for the input, that do not lead to the output."""
    needed = {0, len(layers) - 1}
    for v in reversed(range(len(layers))):
        if v in needed:
            needed.update(inputs[v])
    index = {v: i for i, v in enumerate(sorted(needed))}
    return Network(
        tuple(layers[v] for v in index), tuple(tuple(index[u] for u in inputs[v]) for v in index)
    )
