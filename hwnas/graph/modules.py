"""The torch modules that torch has no class for; imported only where modules are made."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwnas.graph.pointwise import Pointwise


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


class Stacked(nn.Module):
    """The arguments along a new dimension 1."""

    def forward(self, *parts: Tensor) -> Tensor:
        """One tensor."""
        return torch.stack(parts, dim=1)


class Pick(nn.Module):
    """One entry of dimension 1."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        """A view."""
        return x[:, self.index]


class Cut(nn.Module):
    """Entries of dimension 1 from ``start`` to before ``stop``."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.stop = start, stop

    def forward(self, x: Tensor) -> Tensor:
        """A view."""
        return x[:, self.start : self.stop]


class Blended(nn.Module):
    """A step from ``old`` to ``new`` as far as ``gate`` says."""

    def forward(self, gate: Tensor, new: Tensor, old: Tensor) -> Tensor:
        """``old + gate * (new - old)``."""
        return old + gate * (new - old)


class Resized(nn.Module):
    """Bilinear interpolation of images to ``size``, height and width; None leaves them."""

    def __init__(self, size: tuple[int, int] | None) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor, *_: Tensor) -> Tensor:
        """Further arguments, whose size is meant, are not read."""
        if self.size is None:
            return x
        return functional.interpolate(x, size=self.size, mode="bilinear", align_corners=False)


class Padded(nn.Module):
    """``extra`` channels of zeros at the end."""

    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        """Images ``[batch, channels + extra, height, width]``."""
        return functional.pad(x, (0, 0, 0, 0, 0, self.extra)) if self.extra else x


class Halved(nn.Module):
    """Two 1x1 convolutions of stride 2 on the two diagonals, concatenated."""

    def __init__(self, channels: int, out: int, height: int, width: int) -> None:
        super().__init__()
        self.edge = (0, width % 2, 0, height % 2)
        self.even = Pointwise(channels, out // 2, 1, 2, bias=False)
        self.odd = Pointwise(channels, out - out // 2, 1, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The second reads the image shifted by a pixel, zeros coming in where it is odd."""
        shifted = functional.pad(x, self.edge)[:, :, 1:, 1:]
        return torch.cat([self.even(x), self.odd(shifted)], dim=1)


class Excited(nn.Module):
    """Squeeze and excitation with ``hidden`` channels in between."""

    def __init__(self, channels: int, hidden: int, hard: bool) -> None:
        super().__init__()
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.relu = nn.ReLU()
        self.excite = nn.Conv2d(hidden, channels, 1)
        self.gate = nn.Hardsigmoid() if hard else nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Every channel times a number from 0 to 1."""
        weights: Tensor = self.gate(self.excite(self.relu(self.squeeze(self.mean(x)))))
        return x * weights


class Scheduled(nn.Module):
    """What changes in the course of training; ``progress`` goes from 0 to 1."""

    progress: float = 1.0


class PathDropper(Scheduled):
    """Zeros for whole examples in training, a share that grows up to ``rate``."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """The examples that are kept, scaled to the same mean; all of them in evaluation."""
        rate = self.rate * self.progress
        if not self.training or rate <= 0:
            return x
        shape = (len(x), *(1 for _ in x.shape[1:]))
        kept = torch.rand(shape, device=x.device, dtype=x.dtype) >= rate
        return x * kept / (1 - rate)


class Average(Add):
    """Mean of the arguments."""

    def forward(self, *terms: Tensor) -> Tensor:
        """Their sum, divided."""
        return super().forward(*terms) / len(terms)


class Started(nn.Module):
    """``size`` zeros for each example."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Vectors ``[batch, size]``; nothing of ``x`` but its batch is read."""
        return x.new_zeros(x.shape[0], self.size)


class Shared(nn.Module):
    """A weighted mean of two tensors with a learnt weight, at first one half."""

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """``share * x + (1 - share) * skip``."""
        return self.share * x + (1 - self.share) * skip
