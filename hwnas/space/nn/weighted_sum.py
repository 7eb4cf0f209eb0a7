"""The sum that mixes the options of a choice."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hwnas.graph.twice import is_differentiated_twice, mixture_wanted


def weighted_sum(weights: Tensor, taken: Sequence[int], terms: Sequence[Tensor]) -> Tensor:
    """The sum of ``weights[taken[i]] * terms[i]``, of one shape each; in one pass over each term.

    Nothing is kept for the backward pass but the terms, and they only if the weights, shape
    ``[n_options]``, want a gradient.
    """
    result: Tensor = _WeightedSum.apply(weights, taken, *terms)
    return result


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, taken: Sequence[int], *terms: Tensor) -> Tensor:
        ctx.taken = taken
        ctx.twice = is_differentiated_twice()
        mixes = ctx.needs_input_grad[0]
        ctx.save_for_backward(weights, *(terms if mixes else ()))
        first, *others = taken
        result = terms[0] * weights[first]
        for i, term in zip(others, terms[1:], strict=True):
            result.addcmul_(term, weights[i])
        ctx.layout = _layout(result)
        return result

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        weights, *terms = ctx.saved_tensors
        g = g.contiguous(memory_format=ctx.layout)  # once, not for every term
        mixes = ctx.needs_input_grad[0] and mixture_wanted(ctx.twice)
        mixed = _products(g, weights, ctx.taken, terms) if mixes else None
        wanted = ctx.needs_input_grad[2:]
        shared = tuple(i for i, needed in zip(ctx.taken, wanted, strict=True) if needed)
        parts = iter(_Shares.apply(g, weights, shared) if shared else ())
        return mixed, None, *(next(parts) if needed else None for needed in wanted)


class _Shares(torch.autograd.Function):
    """``weights[i] * g`` for each of ``taken``."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, weights: Tensor, taken: Sequence[int]) -> tuple[Tensor, ...]:
        ctx.taken = taken
        ctx.save_for_backward(g, weights)
        ctx.set_materialize_grads(False)
        return tuple(g * weights[i] for i in taken)

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:
        g, weights = ctx.saved_tensors
        layout = _layout(g)  # not that of max-pooling's second derivative
        known = [
            (i, v.contiguous(memory_format=layout))
            for i, v in zip(ctx.taken, given, strict=True)
            if v is not None
        ]
        taken, there = zip(*known, strict=True)
        summed = weighted_sum(weights, taken, there) if ctx.needs_input_grad[0] else None
        mixed = _products(g, weights, taken, there) if ctx.needs_input_grad[1] else None
        return summed, mixed, None


def _products(g: Tensor, weights: Tensor, taken: Sequence[int], terms: Sequence[Tensor]) -> Tensor:
    """The inner product of ``g`` and each term, at its place among ``weights``."""
    found = {i: _dot(g, term) for i, term in zip(taken, terms, strict=True)}
    nothing = weights.new_zeros(())
    return torch.stack([found.get(i, nothing) for i in range(len(weights))])


def _layout(x: Tensor) -> torch.memory_format:
    last = torch.channels_last
    return last if x.is_contiguous(memory_format=last) else torch.contiguous_format


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """The sum of all products."""
    dense = a.is_contiguous(memory_format=_layout(a))
    if torch.is_grad_enabled() or not dense or a.stride() != b.stride():
        return (a * b).sum()
    # Without a tensor of the products, in whatever order both lie in memory.
    size, stride = (a.numel(),), (1,)
    return torch.dot(a.as_strided(size, stride), b.as_strided(size, stride))
