"""Batches of a task's data, a pure function of seed and batch number."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hwnas.core.device import Device
from hwnas.core.errors import HwnasError
from hwnas.core.tensor_type import TensorType
from hwnas.estimate.nn.compute import derive
from hwnas.task.task import SplitName, Task


def training_dtype(device: Device) -> torch.dtype:
    """Half precision is for deployment: networks that will run in it are trained in single."""
    return torch.float64 if device.precision == "float64" else torch.float32


class Batches:
    """One split of a task on a device. Batch ``i`` is the same whenever it is asked for.

    An epoch is a permutation seeded by (``seed``, epoch); the last, smaller batch of an epoch is
    left out, as batch norm wants equal ones. ``fraction`` keeps the first share of each class.
    """

    def __init__(
        self,
        task: Task,
        split: SplitName,
        device: Device,
        seed: int,
        *,
        batch: int | None = None,
        fraction: float = 1.0,
        resolution: float = 1.0,
    ) -> None:
        data = task.splits[split]
        if len(data) == 0:
            raise HwnasError(f"the task's {split} split is empty.", "Give it some examples.")
        keep = _share(data.y, fraction)
        self._task = task
        self._x = torch.from_numpy(data.x[keep]).to(device.kind)
        self._y = torch.from_numpy(data.y[keep]).to(device.kind)
        self._dtype = training_dtype(device)
        self._seed = seed
        smaller = resized(task.input, resolution)
        self._size = None if smaller == task.input else smaller.shape[1:]
        self._orders: dict[int, Tensor] = {}
        self.batch = min(batch or task.recipe.batch, len(self._x))
        self.per_epoch = len(self._x) // self.batch

    def __len__(self) -> int:
        return len(self._x)

    def training(self, i: int) -> tuple[Tensor, Tensor]:
        """Training batch number ``i`` of the endless sequence, augmented."""
        epoch, at = divmod(i, self.per_epoch)
        if epoch not in self._orders:
            rng = np.random.default_rng((self._seed, epoch))
            order = torch.from_numpy(rng.permutation(len(self._x)))
            self._orders = {epoch: order.to(self._x.device)}
        rows = self._orders[epoch][at * self.batch : (at + 1) * self.batch]
        generator = torch.Generator().manual_seed(derive(self._seed, i))
        x = self._task.prepare(self._x[rows])
        return self._fit(*self._task.augment(x, self._y[rows], generator))

    def scoring(
        self, limit: int | None = None, batch: int = 512, first: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The examples in order, not augmented; at most ``limit`` batches, from number ``first``.

        The first batch follows the last.
        """
        starts = range(0, len(self._x), batch)
        begin = first % len(starts)
        for start in [*starts[begin:], *starts[:begin]][:limit]:
            rows = slice(start, start + batch)
            yield self._fit(self._task.prepare(self._x[rows]), self._y[rows])

    def _fit(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """In the size and type to compute with; targets that are maps follow their images."""
        if self._size is not None:
            if y.shape[1:] == x.shape[2:]:
                small = functional.interpolate(y[:, None].float(), size=self._size)
                y = small[:, 0].to(y.dtype)
            x = functional.interpolate(x, size=self._size, mode="bilinear", antialias=True)
        if x.is_floating_point():
            x = x.to(self._dtype)
        return (x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x), y


def _share(y: np.ndarray, fraction: float) -> np.ndarray:
    """Rows of the first ``fraction`` of each class (of all rows if targets are no labels)."""
    if fraction >= 1.0:
        return np.arange(len(y))
    groups = [np.flatnonzero(y == c) for c in np.unique(y)] if y.ndim == 1 else [np.arange(len(y))]
    return np.sort(np.concatenate([g[: max(1, round(len(g) * fraction))] for g in groups]))


def resized(input: TensorType, resolution: float) -> TensorType:
    """The input type at a share of its height and width, at least one pixel."""
    if resolution >= 1.0 or len(input.shape) != 3:
        return input
    channels, *size = input.shape
    return TensorType((channels, *(max(1, round(s * resolution)) for s in size)), input.dtype)
