"""Half the resolution without loss of positions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hwnas.core.tensor_type import TensorType
from hwnas.graph.op import Op, image

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class FactorisedReduction(Op):
    """Two 1x1 convolutions of stride 2, one shifted by a pixel, put side by side.

    Reads every second position of either diagonal (Zoph et al. 2018, arXiv:1707.07012, appendix
    A.1; DARTS' FactorizedReduce). What comes before and after (ReLU, norm) is the caller's.
    """

    out: int

    keeps_zero = True
    order = "mixed"

    def infer(self, *inputs: TensorType) -> TensorType:
        """Shape (out, ceil(height / 2), ceil(width / 2))."""
        _, height, width = image(self, inputs[0])
        return TensorType((self.out, -(-height // 2), -(-width // 2)), inputs[0].dtype)

    def module(self, *inputs: TensorType) -> nn.Module:
        """The two convolutions."""
        from hwnas.graph.modules import Halved
        from hwnas.graph.pointwise import Pointwise

        channels, height, width = inputs[0].shape
        if self.out == 1:
            return Pointwise(channels, 1, 1, 2, bias=False)  # one channel, so one diagonal
        return Halved(channels, self.out, height, width)

    def scaled(self, width: float) -> Op:
        """Fewer channels, at least one."""
        return replace(self, out=max(1, round(self.out * width)))

    @property
    def label(self) -> str:
        """``reduce``."""
        return "reduce"
