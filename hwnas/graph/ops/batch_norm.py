"""Batch normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnas.core.tensor_type import TensorType
from hwnas.graph.op import Op, image

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class BatchNorm(Op):
    """Batch normalisation over channels (Ioffe & Szegedy 2015)."""

    affine: bool = True

    keeps_zero = True
    order = "kept"

    @property
    def weighted(self) -> bool:
        """Where it scales and shifts."""
        return self.affine

    def infer(self, *inputs: TensorType) -> TensorType:
        """The input's type."""
        image(self, inputs[0])
        return inputs[0]

    def module(self, *inputs: TensorType) -> nn.Module:
        """A ``torch.nn.BatchNorm2d``."""
        from hwnas.graph.norm import Norm

        return Norm(inputs[0].shape[0], affine=self.affine)

    @property
    def label(self) -> str:
        """``norm``."""
        return "norm"
