"""Rectified linear unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnas.core.tensor_type import TensorType
from hwnas.graph.op import Op

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Relu(Op):
    """max(x, 0), element by element."""

    def infer(self, *inputs: TensorType) -> TensorType:
        """The input's type."""
        return inputs[0]

    def module(self, *inputs: TensorType) -> nn.Module:
        """A ``torch.nn.ReLU``, not in place: the input may have other readers."""
        from torch import nn

        return nn.ReLU()

    @property
    def label(self) -> str:
        """``relu``."""
        return "relu"
