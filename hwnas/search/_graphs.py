"""A network as a graph of labelled layers, for models and distances that read its structure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Literal

from hwnas.core.architecture import Architecture
from hwnas.core.space import Space
from hwnas.core.tensor_type import TensorType
from hwnas.graph.graph import INPUT, Graph, infer
from hwnas.graph.op import Op
from hwnas.graph.ops.concat import Concat
from hwnas.graph.ops.mean import Mean
from hwnas.graph.ops.sum import Sum
from hwnas.space.replay import build

Kind = Literal["input", "output", "join", "conv", "pool", "dense", "other"]

_DENSE = 0.1  # what a weight of a dense layer counts, one of a filter counting 1


@dataclass(frozen=True)
class Layer:
    """A vertex: operations that run one after another, or where values are put together.

    ``name`` is the same for the same operations with the same options, making the same type;
    ``form`` names the operations alone. ``kernel`` is the largest, 0 where there is none; ``mass``
    the channels that go in times those that come out (Kandasamy et al. 2018, section 3), or the
    former alone where none are mixed.
    """

    name: str
    form: str
    kind: Kind
    width: int
    kernel: int = 0
    stride: int = 1
    mass: float = 0.0


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
    layers: list[Layer] = [_end("input", graph.input.type)]
    inputs: list[tuple[int, ...]] = [()]
    values: dict[str, int | None] = {INPUT: 0}  # None: zeros

    def add(layer: Layer, read: Iterable[int]) -> int:
        layers.append(layer)
        inputs.append(tuple(read))
        return len(layers) - 1

    for node in graph:
        given = [values[i.id] for i in node.inputs]
        assert node.op is not None
        types = tuple(i.type for i in node.inputs)
        layer = _layer(node.op, types)
        read = [v for v in given[: node.op.reads] if v is not None]
        if layer is None:
            values[node.id] = given[0]
        elif not read and _keeps_zero(node.op):
            values[node.id] = None
        elif node.op.__class__ is Sum and len(read) == 1:
            values[node.id] = read[0]
        else:
            values[node.id] = add(layer, read)
    last = values[graph.output.id]
    add(_end("output", graph.output.type), () if last is None else (last,))
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


def _end(kind: Literal["input", "output"], type: TensorType) -> Layer:
    return Layer(f"{kind} {type!r}", kind, kind, _width(type))


def _width(type: TensorType) -> int:
    """Channels of an image, features of anything else."""
    return type.shape[0] if len(type.shape) == 3 else type.shape[-1] if type.shape else 1


@lru_cache(maxsize=100_000)
def _keeps_zero(op: Op) -> bool:
    return all(part.keeps_zero for part in op.parts()) or op.__class__ in (Sum, Concat, Mean)


@lru_cache(maxsize=100_000)
def _layer(op: Op, types: tuple[TensorType, ...]) -> Layer | None:
    """What an operation is, None if it does nothing."""
    if op.__class__ in (Sum, Concat, Mean):
        if op.passes(*types):
            return None
        out = infer(op, *types)
        form = type(op).__name__
        return Layer(f"{_name(op)} {out!r}", form, "join", _width(out))
    parts: list[Op] = []
    mass = 0.0
    now = types
    for part in op.parts():
        made = infer(part, *now)
        if not part.passes(*now):
            parts.append(part)
            if part.weighted and part.order != "kept":
                mass += _width(now[0]) * _width(made) * (1 if len(made.shape) == 3 else _DENSE)
        now = (made,)
    if not parts:
        return None
    out = now[0]
    return Layer(
        f"{' '.join(map(_name, parts))} {out!r}",
        " ".join(_form(part) for part in parts),
        _kind(parts, out),
        _width(out),
        max(map(_kernel, parts)),
        _stride(types[0], out),
        mass or float(_width(types[0])),
    )


def _kind(parts: list[Op], out: TensorType) -> Kind:
    if any(p.weighted and (p.order != "kept" or _kernel(p)) for p in parts):
        return "conv" if len(out.shape) == 3 else "dense"
    shrinks = any(_kernel(p) or type(p).__name__ == "GlobalPool" for p in parts)
    return "pool" if shrinks else "other"


def _kernel(op: Op) -> int:
    kernel = getattr(op, "kernel", 0)
    return max(kernel) if isinstance(kernel, tuple) else int(kernel)


def _stride(given: TensorType, out: TensorType) -> int:
    """By how much an image is made smaller, along its first side."""
    if len(given.shape) != 3 or len(out.shape) != 3:
        return 1
    return max(1, round(given.shape[1] / out.shape[1]))


def _form(op: Op) -> str:
    """The operation, and those of its options that are words or switches."""
    options = (getattr(op, f.name) for f in fields(op))
    words = [str(value) for value in options if isinstance(value, str | bool)]
    return " ".join([type(op).__name__, *words])


def _name(op: Op) -> str:
    """The operation and its options, the same text in every process."""
    options = {f.name: getattr(op, f.name) for f in fields(op)}
    texts = [f"{k}={getattr(v, '__qualname__', repr(v))}" for k, v in options.items()]
    return f"{type(op).__name__}({', '.join(texts)})"
