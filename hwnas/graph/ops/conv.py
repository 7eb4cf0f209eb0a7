"""Convolution."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, Literal

from hwnas.core.errors import HwnasError
from hwnas.core.tensor_type import TensorType
from hwnas.graph.op import Op, image
from hwnas.graph.ops.filters import Filters

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Conv(Filters):
    """2-d convolution with an odd kernel, padded so that stride 1 keeps the size.

    ``out`` None keeps the channels; ``depthwise`` gives every channel its own filter; ``kernel``
    and ``stride`` may be pairs (height, width). Channels are convolved in ``groups``; where they
    do not divide both in- and output, in the largest number below it that does. ``fixed`` where the
    filters are the task's outputs, as of a linear layer.
    """

    kernel: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    dilation: int = 1
    depthwise: bool = False
    bias: bool = False
    groups: int = 1
    fixed: bool = False

    @property
    def _kernel(self) -> tuple[int, int]:
        return self.kernel if isinstance(self.kernel, tuple) else (self.kernel, self.kernel)

    @property
    def _stride(self) -> tuple[int, int]:
        return self.stride if isinstance(self.stride, tuple) else (self.stride, self.stride)

    @property
    def _padding(self) -> tuple[int, int]:
        height, width = self._kernel
        return self.dilation * (height - 1) // 2, self.dilation * (width - 1) // 2

    def infer(self, *inputs: TensorType) -> TensorType:
        """Shape (out, height', width')."""
        channels, *size = image(self, inputs[0])
        out = self.filters(channels)
        size = [
            (s + 2 * padding - self.dilation * (kernel - 1) - 1) // stride + 1
            for s, padding, kernel, stride in zip(
                size, self._padding, self._kernel, self._stride, strict=True
            )
        ]
        if min(size) < 1:
            raise HwnasError(f"{self} leaves nothing of {inputs[0]}.")
        return TensorType((out, *size), inputs[0].dtype)

    def module(self, *inputs: TensorType) -> nn.Module:
        """A ``torch.nn.Conv2d``."""
        from torch import nn

        from hwnas.graph.depthwise import Depthwise
        from hwnas.graph.pointwise import Pointwise

        channels = inputs[0].shape[0]
        out = self.filters(channels)
        both = gcd(channels, out)
        divisors = (g for g in range(min(self.groups, both), 0, -1) if both % g == 0)
        groups = channels if self.depthwise else next(divisors)
        kind: type[nn.Conv2d] = nn.Conv2d
        if self._kernel == (1, 1) and groups == 1:
            kind = Pointwise
        elif self.depthwise and out == channels:
            kind = Depthwise
        return kind(
            channels,
            out,
            self._kernel,
            self._stride,
            self._padding,
            self.dilation,
            groups,
            self.bias,
        )

    def scaled(self, width: float) -> Op:
        """Fewer filters, at least one, unless they are fixed."""
        return self if self.fixed else super().scaled(width)

    @property
    def order(self) -> Literal["counts", "kept", "mixed"]:
        """It counts where groups of channels are apart."""
        return super().order if self.depthwise or self.groups == 1 else "counts"

    @property
    def label(self) -> str:
        """e.g. ``conv 3x3 /2``, or ``pixels to 10`` where they are fixed."""
        if self.fixed:
            return f"pixels to {self.out}"
        name = "dw" if self.depthwise else "conv"
        stride = f" /{max(self._stride)}" if max(self._stride) > 1 else ""
        return f"{name} {'x'.join(map(str, self._kernel))}{stride}"
