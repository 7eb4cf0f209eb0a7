"""A second classifier for training, on values from the middle of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnas.core.tensor_type import TensorType
from hwnas.graph.op import Op, image

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class AuxiliaryHead(Op):
    """The auxiliary classifier of NASNet, ENAS and DARTS, for images of any size.

    Average pool 5x5 of stride 3 (smaller where the image is), 1x1 convolution to ``width``
    channels, a convolution over all that is left to ``hidden`` channels, each after ReLU and
    before batch norm, and a linear map. Source: the code of Zoph et al. 2018, arXiv:1707.07012.
    """

    outputs: int
    width: int = 128
    hidden: int = 768

    order = "mixed"

    def infer(self, *inputs: TensorType) -> TensorType:
        """Shape (outputs,)."""
        image(self, inputs[0])
        return TensorType((self.outputs,), inputs[0].dtype)

    def module(self, *inputs: TensorType) -> nn.Module:
        """A ``torch.nn.Sequential``."""
        from torch import nn

        from hwnas.graph.norm import Norm

        channels, height, width = image(self, inputs[0])
        window = (min(5, height), min(5, width))
        left = ((height - window[0]) // 3 + 1, (width - window[1]) // 3 + 1)
        return nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(window, 3),
            nn.Conv2d(channels, self.width, 1, bias=False),
            Norm(self.width),
            nn.ReLU(),
            nn.Conv2d(self.width, self.hidden, left, bias=False),
            Norm(self.hidden),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(self.hidden, self.outputs),
        )

    def scaled(self, width: float) -> Op:
        """Fewer hidden channels, at least one."""
        hidden = (max(1, round(w * width)) for w in (self.width, self.hidden))
        return AuxiliaryHead(self.outputs, *hidden)

    @property
    def label(self) -> str:
        """``auxiliary``."""
        return "auxiliary"
