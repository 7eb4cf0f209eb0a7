"""Architectures as rows of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice, Label
from hwnas.core.space import Space
from hwnas.space.moves import choices


@dataclass(frozen=True)
class Column:
    """A choice between ``size`` options, or one option of a choice that takes several.

    ``ordered``: the options are ascending numbers.
    """

    choice: Choice
    option: Label = None

    @property
    def size(self) -> int:
        """How many values there are; they are 0, 1, and so on."""
        return len(self.choice.options) if self.choice.k is None else 2

    @property
    def ordered(self) -> bool:
        """Whether two values are the nearer the less they differ."""
        options = self.choice.options
        numbers = [o for o in options if isinstance(o, int | float) and type(o) is not bool]
        return self.choice.k is None and sorted(numbers) == list(options)


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

    def one_hot(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """The same with a column an option, shape ``[n, sum of sizes]``; zeros if not asked."""
        rows = self(architectures)
        sizes = [column.size for column in self._columns]
        return np.concatenate(
            [rows[:, [i]] == np.arange(size) for i, size in enumerate(sizes)], axis=1
        ).astype(float)

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
