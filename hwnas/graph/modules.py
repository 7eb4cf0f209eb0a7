"""The torch modules that torch has no class for. The only file of ``graph`` that imports torch."""

import torch
from torch import Tensor, nn


class Zeros(nn.Module):
    """Zeros shaped like the input."""

    def forward(self, x: Tensor) -> Tensor:
        """``x * 0`` without the NaN that an infinite ``x`` would make."""
        return torch.zeros_like(x)


class Add(nn.Module):
    """Sum of the arguments."""

    def forward(self, *terms: Tensor) -> Tensor:
        """Left to right."""
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total


class Concatenate(nn.Module):
    """The arguments along dimension 1."""

    def forward(self, *parts: Tensor) -> Tensor:
        """One tensor."""
        return torch.cat(parts, dim=1)
