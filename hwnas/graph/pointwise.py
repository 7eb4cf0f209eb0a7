"""Convolution of single pixels with a faster training pass on the CPU."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwnas.graph.trained_here import trained_here


class Pointwise(nn.Conv2d):
    """A ``torch.nn.Conv2d`` of 1x1 filters; the same values and gradients.

    Channels that lie side by side in memory are the rows of a matrix, and its products with the
    filters cost a half to a third of what convolutions of few channels do, most of it in the
    backward pass (benchmarks/supernet.py).

    Pixels that a stride leaves out are left out beforehand. On processors without AVX-512 torch's
    gradient in filters with a stride writes beyond its memory if there are fewer than 8 channels
    (torch 2.15): sooner or later the process aborts.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Shape ``[batch, channels, height, width]``."""
        if not trained_here(input):
            return super().forward(input)
        down, right = self.stride
        rows = input.is_contiguous(memory_format=torch.channels_last)
        input = input[:, :, ::down, ::right]
        if not rows:
            return functional.conv2d(input, self.weight, self.bias)
        found = functional.linear(input.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return found.permute(0, 3, 1, 2)
