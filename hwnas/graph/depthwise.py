"""Depthwise convolution with a faster backward pass on the CPU."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwnas.graph.trained_here import trained_here

_backward = torch.ops.aten.convolution_backward


class Depthwise(nn.Conv2d):
    """A ``torch.nn.Conv2d`` of one filter a channel; the same values and gradients.

    On the CPU torch's own backward pass takes up to ten times the forward pass, if filters are
    dilated or larger than 3x3, and fifty times if they have a stride as well. With stride 1 the
    gradient in the input is a forward pass with the filters turned round; that in the filters is a
    convolution of the input by the output's gradient (benchmarks/supernet.py).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Shape ``[batch, channels, height, width]``."""
        (height, width), (down, right) = self.kernel_size, self.stride
        dilation, padding = self.dilation[0], self.dilation[0] * (height - 1) // 2
        plain = self.bias is None and self.padding == (padding, padding) and height % 2
        # Filters whose taps are a multiple of the stride apart read only what lies on its grid.
        fast = height == width > 1 and down == right and (down == 1 or dilation % down == 0)
        if not (plain and fast and trained_here(input)):
            return super().forward(input)
        if down > 1:
            input, dilation = input[:, :, ::down, ::down], dilation // down
        result: Tensor = _Depthwise.apply(input, self.weight, dilation)
        return result


class _Depthwise(torch.autograd.Function):
    """Stride 1, padded to keep the size."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.save_for_forward(x, w)
        ctx.set_materialize_grads(False)
        ctx.dilation = dilation
        return _convolved(x, w, dilation)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, w = ctx.saved_tensors
        gx = gw = None
        if ctx.needs_input_grad[0]:
            gx = _convolved(g, w.flip(2, 3), ctx.dilation)
        if ctx.needs_input_grad[1]:
            gw = _in_filters(x, g, w.shape[2], ctx.dilation)
        return gx, gw, None

    @staticmethod
    def jvp(ctx: Any, tx: Tensor | None, tw: Tensor | None, _: None) -> Tensor | None:
        x, w = ctx.saved_tensors
        moved = None if tx is None else _Depthwise.apply(tx, w, ctx.dilation)
        if tw is None:
            return moved
        turned: Tensor = _Depthwise.apply(x, tw, ctx.dilation)
        return turned if moved is None else moved + turned


def _convolved(x: Tensor, w: Tensor, dilation: int) -> Tensor:
    padding = dilation * (w.shape[2] - 1) // 2
    return functional.conv2d(x, w, None, 1, padding, dilation, len(w))


def _in_filters(x: Tensor, g: Tensor, k: int, dilation: int) -> Tensor:
    """The gradient in filters ``[channels, 1, k, k]``."""
    n, c, height, width = x.shape
    if k > 3 or height % dilation or width % dilation:
        # One filter an image and channel, as large as the image: as many outputs as taps.
        images = x.reshape(1, n * c, height, width)
        filters = g.reshape(n * c, 1, height, width)
        padding = dilation * (k - 1) // 2
        found = functional.conv2d(images, filters, None, dilation, padding, 1, n * c)
        return found[:, :, :k, :k].reshape(n, c, 1, k, k).sum(0)
    if dilation > 1:
        x, g = _apart(x, dilation), _apart(g, dilation)
    ones, mask = (1, 1), (False, True, False)
    w = x.new_empty(c, 1, k, k)  # of which only the shape counts
    gradient: Tensor = _backward(g, x, w, None, ones, ones, ones, False, (0, 0), c, mask)[1]
    return gradient


def _apart(x: Tensor, dilation: int) -> Tensor:
    """Every ``dilation``-th pixel as an image of its own, which a dilated filter never leaves."""
    n, c, height, width = x.shape
    rows, columns = height // dilation, width // dilation
    parts = x.permute(0, 2, 3, 1).reshape(n, rows, dilation, columns, dilation, c)
    images = parts.permute(2, 4, 0, 1, 3, 5).reshape(-1, rows, columns, c)
    return images.permute(0, 3, 1, 2)
