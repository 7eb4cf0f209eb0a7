"""The static type of a value that flows through a network."""

from typing import NamedTuple


class TensorType(NamedTuple):
    """Shape without the batch dimension, e.g. ``(channels, height, width)``, and dtype name."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def size(self) -> int:
        """Number of elements of one example."""
        total = 1
        for extent in self.shape:
            total *= extent
        return total

    def __str__(self) -> str:
        return f"{self.dtype}[{'x'.join(map(str, self.shape))}]"
