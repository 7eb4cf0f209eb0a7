"""Gradients in weights that will be differentiated again."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_on = ContextVar("differentiated_twice", default=False)


@contextmanager
def differentiated_twice() -> Iterator[None]:
    """What is computed inside is first differentiated in weights, then their gradient in others.

    The first with ``create_graph``, the second without. Layers whose gradients torch differentiates
    slowly take another way then, and leave out what neither of the two needs: the first derivative
    in a mixture and the second one in weights.
    """
    token = _on.set(True)
    try:
        yield
    finally:
        _on.reset(token)


def is_differentiated_twice() -> bool:
    """Whether what is computed now will be."""
    return _on.get()


def weights_wanted(twice: bool) -> bool:
    """Whether a backward pass needs the gradient in weights; ``twice`` as the forward pass was."""
    return not twice or torch.is_grad_enabled()


def mixture_wanted(twice: bool) -> bool:
    """The same of the gradient in a mixture."""
    return not (twice and torch.is_grad_enabled())
