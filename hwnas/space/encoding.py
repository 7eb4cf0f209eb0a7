"""Architectures as rows of numbers."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice, Label
from hwnas.core.space import Space
from hwnas.space.moves import choices


@dataclass(frozen=True)
class Column:
    """A choice between ``size`` options, or one option of a choice that takes several."""

    choice: Choice
    option: Label = None

    @property
    def size(self) -> int:
        """How many values there are; they are 0, 1, and so on."""
        return len(self.choice.options) if self.choice.k is None else 2

    @property
    def kind(self) -> Hashable:
        """The same for columns with the same options."""
        return self.choice.options, self.choice.k, self.option


class Encoding:
    """A column a choice, found as architectures are met; NaN where a choice was not asked.

    A choice that is asked with other options elsewhere has another column there.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._columns: dict[Column, int] = {}
        self._known: dict[Architecture, dict[int, float]] = {}

    @property
    def columns(self) -> list[Column]:
        """Those of the architectures met so far, in the order in which they were."""
        return list(self._columns)

    def __call__(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """Indices of the options taken, shape ``[n, n_columns]``; later calls may have more."""
        cells = [self._cells(a) for a in architectures]
        rows = np.full((len(cells), len(self._columns)), np.nan)
        for row, known in zip(rows, cells, strict=True):
            row[list(known)] = list(known.values())
        return rows

    def _cells(self, architecture: Architecture) -> dict[int, float]:
        """Column to value."""
        known = self._known.get(architecture)
        if known is None:
            known = {}
            for choice in choices(self._space, architecture):
                if choice.k is None:
                    at = self._columns.setdefault(Column(choice), len(self._columns))
                    known[at] = float(choice.options.index(architecture[choice.name]))
                else:
                    taken = choice.weights(architecture[choice.name])
                    for option, weight in zip(choice.options, taken, strict=True):
                        column = Column(choice, option)
                        known[self._columns.setdefault(column, len(self._columns))] = weight
            self._known[architecture] = known
        return known


def one_hot(rows: np.ndarray, columns: Sequence[Column]) -> np.ndarray:
    """Rows of an :class:`Encoding` with a column an option, and one more for absence.

    Shape ``[n, sum of (size + 1)]``.
    """
    sizes = [column.size for column in columns]
    values = np.where(np.isnan(rows), sizes, rows)
    parts = [values[:, [i]] == np.arange(size + 1) for i, size in enumerate(sizes)]
    return np.concatenate(parts, axis=1).astype(float)
