"""The contract of a task: data, loss, metrics and training recipe."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from hwnas.core.metric import Metric
from hwnas.core.tensor_type import TensorType

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SplitName = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class Split:
    """Examples ``x``, shape ``[n, *input.shape]`` (uint8 or float32), and targets ``y``."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Recipe:
    """How networks of the task are trained: SGD with Nesterov momentum and a cosine schedule."""

    batch: int = 64
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4


class Task(ABC):
    """What the networks are for.

    Weights learn from ``train``, the search is guided by ``valid``, and ``test`` is touched only
    by finalists. Keyword-only parameters of the constructor are the options of a pipeline file.
    """

    paper: ClassVar[str] = ""
    metrics: ClassVar[tuple[Metric, ...]]
    recipe: ClassVar[Recipe] = Recipe()

    @property
    @abstractmethod
    def input(self) -> TensorType:
        """The type of one prepared example."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """How many numbers a network puts out."""

    @cached_property
    def splits(self) -> Mapping[SplitName, Split]:
        """The data, loaded once. Raises :class:`HwnasError` for what is missing or broken."""
        return self.load()

    @abstractmethod
    def load(self) -> Mapping[SplitName, Split]:
        """Read the data; same seed, same splits."""

    @abstractmethod
    def prepare(self, x: Tensor) -> Tensor:
        """Raw examples as float32 network input, on the device that ``x`` is on."""

    def augment(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Prepared training examples, randomly changed; by default as they are."""
        return x

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The training loss, a scalar; differentiable in ``outputs`` ``[batch, outputs]``."""

    @abstractmethod
    def score(self, outputs: Tensor, targets: Tensor) -> Mapping[str, float]:
        """The task's metrics over a whole split, by name."""

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """What a deployed model's user must do to raw data, as JSON."""
        return {}

    @property
    def labels(self) -> list[str]:
        """The name of each output."""
        return [str(i) for i in range(self.outputs)]
