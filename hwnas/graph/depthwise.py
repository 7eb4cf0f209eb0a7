"""Depthwise convolution with faster backward passes."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwnas.graph.trained_here import trained_here
from hwnas.graph.twice import is_differentiated_twice, weights_wanted

_backward = torch.ops.aten.convolution_backward


class Depthwise(nn.Conv2d):
    """A ``torch.nn.Conv2d`` of one filter a channel; the same values and gradients.

    On the CPU torch's own backward pass takes up to ten times the forward pass, if filters are
    dilated or larger than 3x3, and fifty times if they have a stride as well. With stride 1 the
    gradient in the input is a forward pass with the filters turned round; that in the filters is a
    convolution of the input by the output's gradient (benchmarks/supernet.py). Torch differentiates
    gradients of such convolutions channel by channel; each is a convolution of the same kind.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Shape ``[batch, channels, height, width]``."""
        (height, width), (down, right) = self.kernel_size, self.stride
        dilation, padding = self.dilation[0], self.dilation[0] * (height - 1) // 2
        plain = self.bias is None and self.padding == (padding, padding) and height % 2
        square = height == width > 1 and down == right
        # Filters whose taps are a multiple of the stride apart read only what lies on its grid.
        on_grid = down == 1 or dilation % down == 0
        twice = is_differentiated_twice()
        if not (plain and square and (twice or (on_grid and trained_here(input)))):
            return super().forward(input)
        if on_grid and down > 1:
            input, dilation, down = input[:, :, ::down, ::down], dilation // down, 1
        result: Tensor = _Output.apply(input, self.weight, _Kind(height, down, dilation, twice))
        return result


@dataclass(frozen=True)
class _Kind:
    """Padded to keep the size, but for the stride."""

    k: int
    stride: int
    dilation: int
    twice: bool

    @property
    def padding(self) -> int:
        return self.dilation * (self.k - 1) // 2


# The result is linear in input and filters, so its product with a gradient g has three derivatives
# of one kind, and the derivatives of each are the other two.


class _Output(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, kind: _Kind) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.kind = kind
        return _convolved(x, w, kind)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        gx = gw = None
        if ctx.needs_input_grad[0]:
            fixed = w.detach() if ctx.kind.twice else w
            gx = _InInput.apply(g, fixed, ctx.kind, x.shape)
        if ctx.needs_input_grad[1] and weights_wanted(ctx.kind.twice):
            gw = _InFilters.apply(x, g, ctx.kind)
        return gx, gw, None


class _InInput(torch.autograd.Function):
    """Shape ``[batch, channels, height, width]``."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, w: Tensor, kind: _Kind, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(g, w)
        ctx.kind = kind
        if kind.stride == 1:
            return _convolved(g, w.flip(2, 3), kind)
        layout = torch.channels_last
        x = torch.empty(shape, dtype=g.dtype, device=g.device, memory_format=layout)
        return _torch_backward(g, x, w, kind, 0)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        g, w = ctx.saved_tensors
        gg = _Output.apply(v, w, ctx.kind) if ctx.needs_input_grad[0] else None
        gw = _InFilters.apply(v, g, ctx.kind) if ctx.needs_input_grad[1] else None
        return gg, gw, None, None


class _InFilters(torch.autograd.Function):
    """Shape ``[channels, 1, k, k]``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, g: Tensor, kind: _Kind) -> Tensor:
        ctx.save_for_backward(x, g)
        ctx.kind = kind
        if kind.stride == 1 and x.device.type == "cpu":
            return _in_filters(x, g, kind)
        return _torch_in_filters(x, g, kind)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        x, g = ctx.saved_tensors
        gx = _InInput.apply(g, v, ctx.kind, x.shape) if ctx.needs_input_grad[0] else None
        gg = _Output.apply(x, v, ctx.kind) if ctx.needs_input_grad[1] else None
        return gx, gg, None


def _convolved(x: Tensor, w: Tensor, kind: _Kind) -> Tensor:
    return functional.conv2d(x, w, None, kind.stride, kind.padding, kind.dilation, len(w))


def _torch_in_filters(x: Tensor, g: Tensor, kind: _Kind) -> Tensor:
    return _torch_backward(g, x, x.new_empty(x.shape[1], 1, kind.k, kind.k), kind, 1)


def _torch_backward(g: Tensor, x: Tensor, w: Tensor, kind: _Kind, place: int) -> Tensor:
    """The gradient in x (0) or w (1), of which only the shape counts."""
    stride, padding, dilation = ((n, n) for n in (kind.stride, kind.padding, kind.dilation))
    mask = (place == 0, place == 1, False)
    found: Tensor = _backward(
        g, x, w, None, stride, padding, dilation, False, (0, 0), len(w), mask
    )[place]
    return found


def _in_filters(x: Tensor, g: Tensor, kind: _Kind) -> Tensor:
    """The gradient in filters at stride 1 on the CPU."""
    k, dilation = kind.k, kind.dilation
    n, c, height, width = x.shape
    if k > 3 or height % dilation or width % dilation:
        # One filter an image and channel, as large as the image: as many outputs as taps.
        images = x.reshape(1, n * c, height, width)
        filters = g.reshape(n * c, 1, height, width)
        found = functional.conv2d(images, filters, None, dilation, kind.padding, 1, n * c)
        return found[:, :, :k, :k].reshape(n, c, 1, k, k).sum(0)
    if dilation > 1:
        x, g = _apart(x, dilation), _apart(g, dilation)
    return _torch_in_filters(x, g, replace(kind, dilation=1))


def _apart(x: Tensor, dilation: int) -> Tensor:
    """Every ``dilation``-th pixel as an image of its own, which a dilated filter never leaves."""
    n, c, height, width = x.shape
    rows, columns = height // dilation, width // dilation
    parts = x.permute(0, 2, 3, 1).reshape(n, rows, dilation, columns, dilation, c)
    images = parts.permute(2, 4, 0, 1, 3, 5).reshape(-1, rows, columns, c)
    return images.permute(0, 3, 1, 2)
