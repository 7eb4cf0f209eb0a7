"""The sum that mixes the options of a choice."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


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
        ctx.mixes = ctx.needs_input_grad[0]
        ctx.save_for_backward(weights, *(terms if ctx.mixes else ()))
        ctx.save_for_forward(weights)
        ctx.set_materialize_grads(False)
        first, *others = taken
        result = terms[0] * weights[first]
        for i, term in zip(others, terms[1:], strict=True):
            result.addcmul_(term, weights[i])
        return result

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        weights, *terms = ctx.saved_tensors
        mixed = None
        if ctx.mixes:
            found = {i: _dot(g, term) for i, term in zip(ctx.taken, terms, strict=True)}
            nothing = weights.new_zeros(())
            mixed = torch.stack([found.get(i, nothing) for i in range(len(weights))])
        wanted = zip(ctx.taken, ctx.needs_input_grad[2:], strict=True)
        return mixed, None, *(g * weights[i] if needed else None for i, needed in wanted)

    @staticmethod
    def jvp(ctx: Any, moved: None, _: None, *tangents: Tensor | None) -> Tensor:
        assert moved is None, "the weights of a mixture have no tangent"
        (weights,) = ctx.saved_tensors
        known = [(i, t) for i, t in zip(ctx.taken, tangents, strict=True) if t is not None]
        taken, there = zip(*known, strict=True)
        return weighted_sum(weights, taken, there)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """The sum of all products."""
    dense = a.is_contiguous() or a.is_contiguous(memory_format=torch.channels_last)
    if torch.is_grad_enabled() or not dense or a.stride() != b.stride():
        return (a * b).sum()
    # Without a tensor of the products, in whatever order both lie in memory.
    size, stride = (a.numel(),), (1,)
    return torch.dot(a.as_strided(size, stride), b.as_strided(size, stride))
