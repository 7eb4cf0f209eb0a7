"""The layers that networks are seen to be made of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Literal

from hwnas.core.tensor_type import TensorType
from hwnas.graph.graph import infer
from hwnas.graph.op import Op
from hwnas.graph.ops.concat import Concat
from hwnas.graph.ops.mean import Mean
from hwnas.graph.ops.sum import Sum

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


def endpoint(kind: Literal["input", "output"], type: TensorType) -> Layer:
    """Where networks begin, or end."""
    return Layer(f"{kind} {type!r}", kind, kind, _width(type))


def _width(type: TensorType) -> int:
    """Channels of an image, features of anything else."""
    return type.shape[0] if len(type.shape) == 3 else type.shape[-1] if type.shape else 1


@lru_cache(maxsize=100_000)
def keeps_zero(op: Op) -> bool:
    """Whether zeros are made of zeros."""
    return all(part.keeps_zero for part in op.parts()) or op.__class__ in (Sum, Concat, Mean)


@lru_cache(maxsize=100_000)
def layer(op: Op, types: tuple[TensorType, ...]) -> Layer | None:
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
