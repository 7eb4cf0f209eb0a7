"""From the state of a node to the values of its parameters."""

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

KERNEL = 7
"""Larger filters are tiled, as are those of more channels than are decoded."""


class FilterDecoder(nn.Module):
    """Decodes states ``[n, width]`` to weights ``[n, out, in, height, width]``.

    A vector for every pixel of the filter, of which smaller ones have the middle, is mapped to all
    pairs of channels by a perceptron that the pixels share (Knyazev et al. 2021, appendix B).
    """

    def __init__(self, width: int, channels: int, kernel: int = KERNEL) -> None:
        super().__init__()
        self._channels = channels
        self._kernel = kernel
        self.pixels = nn.Linear(width, kernel * kernel * 2 * width)
        self.hidden = nn.Linear(2 * width, 4 * width)
        self.pairs = nn.Linear(4 * width, channels * channels)
        unit_variance(self, self.pairs)

    def forward(self, states: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
        """Weights of unit variance, at first, where the states have it."""
        out, into, *size = (min(n, m) for n, m in zip(shape, self._largest, strict=True))
        height, width = size
        pixels = self.pixels.weight.unflatten(0, (self._kernel, self._kernel, -1))
        bias = self.pixels.bias.unflatten(0, (self._kernel, self._kernel, -1))
        y, x = (self._kernel - height) // 2, (self._kernel - width) // 2
        pixels = pixels[y : y + height, x : x + width].flatten(0, 2)
        bias = bias[y : y + height, x : x + width].flatten()
        z = functional.relu(functional.linear(states, pixels, bias))
        z = functional.relu(self.hidden(z.unflatten(1, (height * width, -1))))
        square = (self._channels, self._channels)
        pairs = self.pairs.weight.unflatten(0, square)[:out, :into].flatten(0, 1)
        bias = self.pairs.bias.unflatten(0, square)[:out, :into].flatten()
        weights = functional.linear(z, pairs, bias).transpose(1, 2)
        return tiled(weights.unflatten(2, (height, width)).unflatten(1, (out, into)), shape)

    @property
    def _largest(self) -> tuple[int, int, int, int]:
        return self._channels, self._channels, self._kernel, self._kernel


class VectorDecoder(nn.Module):
    """Decodes states ``[n, width]`` to vectors ``[n, length]``, by a perceptron."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, 2 * width)
        self.values = nn.Linear(2 * width, channels)
        unit_variance(self, self.values)

    def forward(self, states: Tensor, length: int) -> Tensor:
        """Numbers of unit variance, at first."""
        values: Tensor = self.values(functional.relu(self.hidden(states)))
        return tiled(values, (length,))


def unit_variance(module: nn.Module, last: nn.Module) -> None:
    """Initialise layers so that the result has the variance of the input; ReLU before ``last``."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(
                layer.weight, nonlinearity="linear" if layer is last else "relu"
            )
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def tiled(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Values ``[n, ...]`` repeated and cropped to ``[n, *shape]``."""
    if values.shape[1:] == shape:
        return values
    times = [-(-wanted // got) for wanted, got in zip(shape, values.shape[1:], strict=True)]
    return values.repeat(1, *times)[(slice(None), *(slice(s) for s in shape))]


def as_filters(shape: torch.Size) -> tuple[int, int, int, int]:
    """The shape of filters with as many numbers, its first axes those of a tensor of any shape."""
    out, into, *size = (*shape, 1, 1, 1)[: max(4, len(shape))]
    return out, into, prod(size[:-1]), size[-1]
