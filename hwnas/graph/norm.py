"""Batch normalisation with a faster tangent."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual

_backward = torch.ops.aten.native_batch_norm_backward


class Norm(nn.BatchNorm2d):
    """A ``torch.nn.BatchNorm2d``; the same values, gradients and tangents.

    The derivative of torch's own tangent is wrong, with mean and deviation taken for constants
    (2.15). Here the tangent is the backward pass, which is symmetric, and has the right one.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Shape ``[batch, channels, height, width]``."""
        if not self.training or unpack_dual(input).tangent is None:
            return super().forward(input)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        x: Tensor = _Normalised.apply(
            input, self.running_mean, self.running_var, self.momentum, self.eps
        )
        if self.affine:
            x = x * self.weight[:, None, None] + self.bias[:, None, None]
        return x


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, mean: Tensor, var: Tensor, momentum: float, eps: float) -> Any:
        y, *of_batch = torch.native_batch_norm(x, None, None, mean, var, True, momentum, eps)
        ctx.save_for_backward(x, *of_batch)
        ctx.save_for_forward(x, *of_batch)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        return _Centred.apply(g, *ctx.saved_tensors), None, None, None, None

    @staticmethod
    def jvp(ctx: Any, t: Tensor, *_: None) -> Any:
        return _Centred.apply(t, *ctx.saved_tensors)


class _Centred(torch.autograd.Function):
    """``(v - mean(v) - y mean(v y)) / deviation``, y the normalised x: symmetric in v."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, x: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
        result, along = _centred(v, x, mean, inverse)
        ctx.save_for_backward(x, mean, inverse, result, along)
        return result

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, inverse, of_v, along_v = ctx.saved_tensors
        of_u, along_u = _centred(u, x, mean, inverse)
        # <u, of_v> depends on x through the deviation and through both projections on y.
        both = (u * of_v).mean((0, 2, 3)) * inverse
        gx = of_v * _channels(-inverse * along_u)
        gx.addcmul_(of_u, _channels(-inverse * along_v))
        gx.addcmul_(x - _channels(mean), _channels(-inverse * both))
        return of_u, gx, None, None


def _centred(v: Tensor, x: Tensor, mean: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """It, and mean(v y), shape ``[channels]``."""
    count = x.numel() // x.shape[1]
    ones = torch.ones_like(mean)  # the GPU's needs weights, if their gradient is wanted
    result, along, _ = _backward(
        v, x, ones, None, None, mean, inverse, True, 0.0, (True, True, False)
    )
    return result, along / count


def _channels(values: Tensor) -> Tensor:
    return values[:, None, None]
