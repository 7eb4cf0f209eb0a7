"""The sum that mixes the options of a choice."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def weighted_sum(weights: Tensor, terms: Sequence[Tensor]) -> Tensor:
    """The sum of ``weights[i] * terms[i]``, of one shape each; in one pass over each term.

    Nothing is kept for the backward pass but the terms, and they only if the weights want a
    gradient.
    """
    result: Tensor = _WeightedSum.apply(weights, *terms)
    return result


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, *terms: Tensor) -> Tensor:
        ctx.mixes = ctx.needs_input_grad[0]
        ctx.save_for_backward(weights, *(terms if ctx.mixes else ()))
        ctx.save_for_forward(weights)
        ctx.set_materialize_grads(False)
        result = terms[0] * weights[0]
        for term, weight in zip(terms[1:], weights[1:], strict=True):
            result.addcmul_(term, weight)
        return result

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        weights, *terms = ctx.saved_tensors
        mixed = torch.stack([_dot(g, term) for term in terms]) if ctx.mixes else None
        wanted = zip(weights, ctx.needs_input_grad[1:], strict=True)
        return mixed, *(g * weight if needed else None for weight, needed in wanted)

    @staticmethod
    def jvp(ctx: Any, moved: None, *tangents: Tensor | None) -> Tensor:
        assert moved is None, "the weights of a mixture have no tangent"
        (weights,) = ctx.saved_tensors
        known = [i for i, t in enumerate(tangents) if t is not None]
        return weighted_sum(weights[known], [t for t in tangents if t is not None])


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """The sum of all products."""
    dense = a.is_contiguous() or a.is_contiguous(memory_format=torch.channels_last)
    if torch.is_grad_enabled() or not dense or a.stride() != b.stride():
        return (a * b).sum()
    # Without a tensor of the products, in whatever order both lie in memory.
    size, stride = (a.numel(),), (1,)
    return torch.dot(a.as_strided(size, stride), b.as_strided(size, stride))
