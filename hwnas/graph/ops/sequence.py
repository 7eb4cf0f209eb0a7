"""Several operations in a row, as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnas.core.tensor_type import TensorType
from hwnas.graph.op import Op

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Sequence(Op):
    """A block such as ReLU, convolution, normalisation; ``name`` is what papers call it."""

    name: str
    ops: tuple[Op, ...]

    def types(self, given: TensorType) -> list[TensorType]:
        """The type before each operation and after the last."""
        result = [given]
        for op in self.ops:
            result.append(op.infer(result[-1]))
        return result

    def infer(self, *inputs: TensorType) -> TensorType:
        """The type after the last operation."""
        return self.types(inputs[0])[-1]

    def module(self, *inputs: TensorType) -> nn.Module:
        """A ``torch.nn.Sequential``."""
        from torch import nn

        before = self.types(inputs[0])[:-1]
        return nn.Sequential(*(op.module(t) for op, t in zip(self.ops, before, strict=True)))

    def scaled(self, width: float) -> Op:
        """Every operation scaled."""
        return Sequence(self.name, tuple(op.scaled(width) for op in self.ops))

    def parts(self) -> tuple[Op, ...]:
        """The primitives of every operation."""
        return tuple(part for op in self.ops for part in op.parts())

    @property
    def label(self) -> str:
        """The block's name."""
        return self.name
