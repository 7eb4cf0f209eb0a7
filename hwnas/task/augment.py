"""Random changes to whole batches of images.

Numbers are drawn on the CPU whatever the images are on, so that all devices see the same ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def crop(x: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Images ``[batch, channels, height, width]`` shifted by up to ``padding`` pixels each way.

    What comes in at the border is zero, the mean of normalised images.
    """
    import torch
    from torch.nn import functional

    batch, _, height, width = x.shape
    shift = torch.randint(0, 2 * padding + 1, (2, batch), generator=generator).to(x.device)
    padded = functional.pad(x, (padding,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view, [b, c, dy, dx, h, w]
    return windows[torch.arange(batch, device=x.device), :, shift[0], shift[1]]


def flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Images ``[batch, channels, height, width]``, each mirrored left to right by even chance."""
    import torch

    mirrored = torch.rand(len(x), generator=generator).to(x.device) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(-1), x)
