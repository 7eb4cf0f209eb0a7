"""What an official file holds, in columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwnas.core.errors import HwnasError
from hwnas.core.metric import Metric

COSTS = "cifar10"  # of the data sets the one whose costs need no name before them


@dataclass(frozen=True)
class Published:
    """Columns ``[n_architectures]`` with what they measure; ``name@12`` is after 12 units.

    ``architectures`` are in the benchmark's own notation; ``about`` is what the table says of
    itself.
    """

    architectures: Sequence[str]
    columns: Mapping[str, np.ndarray]
    metrics: Sequence[Metric]
    about: Mapping[str, Any]

    def rows(self, architectures: Sequence[str]) -> "Published":
        """These architectures in this order, NaN where one is not known."""
        index = {text: i for i, text in enumerate(self.architectures)}
        places = np.array([index.get(text, -1) for text in architectures])
        if (places < 0).all():
            raise HwnasError(
                "no architecture of the one is in the other:"
                f" {architectures[0]!r} there, {self.architectures[0]!r} here.",
                "Join tables of one space, in the same notation.",
            )
        columns = {}
        for name, values in self.columns.items():
            column = values[places]
            if (places < 0).any():
                column = np.where(places < 0, np.nan, column)
            columns[name] = column
        return replace(self, architectures=architectures, columns=columns)

    def to_json(self) -> dict[str, Any]:
        """What the table says about itself."""
        return {**self.about, "objectives": [m.to_json() for m in self.metrics]}


def prefix(dataset: str) -> str:
    """What comes before a cost measured on the images and classes of ``dataset``."""
    return "" if dataset == COSTS else f"{dataset.lower().replace('-', '_')}_"
