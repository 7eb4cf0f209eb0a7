"""Batch normalisation with a faster second derivative."""

from typing import Any

import torch
from torch import Tensor, nn

from hwnas.graph.twice import is_differentiated_twice

_backward = torch.ops.aten.native_batch_norm_backward


class Norm(nn.BatchNorm2d):
    """A ``torch.nn.BatchNorm2d``; the same values and gradients.

    Torch's second derivative goes through a dozen tensors of the input's size. The gradient is
    symmetric in what it is given, so what is needed of its derivative is mostly itself once more.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Shape ``[batch, channels, height, width]``."""
        if not (self.training and is_differentiated_twice()):
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
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        return _Centred.apply(g, *ctx.saved_tensors), None, None, None, None


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
        both = _products(u, of_v) * inverse
        gx = torch.addcmul(_channels(mean * inverse * both), of_v, _channels(-inverse * along_u))
        gx.addcmul_(of_u, _channels(-inverse * along_v))
        gx.addcmul_(x, _channels(-inverse * both))
        return of_u, gx, None, None


def _centred(v: Tensor, x: Tensor, mean: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """It, and mean(v y), shape ``[channels]``."""
    result, along = _passed_back(v, x, mean, inverse, True)
    return result, along / _count(x)


def _products(a: Tensor, b: Tensor) -> Tensor:
    """The mean of ``a b``, shape ``[channels]``: what a scale would get that multiplies b."""
    nothing = a.new_zeros(a.shape[1])
    _, along = _passed_back(a, b, nothing, nothing + 1, False)
    return along / _count(a)


def _passed_back(
    v: Tensor, x: Tensor, mean: Tensor, inverse: Tensor, input: bool
) -> tuple[Tensor, Tensor]:
    """Torch's gradients in the ``input``, if wanted, and in the scale."""
    ones = torch.ones_like(mean)  # the GPU's needs weights, if their gradient is wanted
    mask = (input, True, False)
    result, along, _ = _backward(v, x, ones, None, None, mean, inverse, True, 0.0, mask)
    return result, along


def _count(x: Tensor) -> int:
    return x.numel() // x.shape[1]


def _channels(values: Tensor) -> Tensor:
    return values[:, None, None]
