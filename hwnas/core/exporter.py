"""The contract of an exporter: a trained network as a file that runs elsewhere."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwnas.core.architecture import Architecture


@dataclass(frozen=True)
class Artifact:
    """An exported model: where it is, its size in bytes, and how long the export took."""

    path: Path
    bytes: int
    seconds: float


class Exporter(ABC):
    """Writes a network with given weights to a file."""

    @abstractmethod
    def export(
        self, architecture: Architecture, weights: Mapping[str, np.ndarray], path: Path
    ) -> Artifact:
        """Write ``path``; ``weights`` maps parameter and buffer names to arrays."""
