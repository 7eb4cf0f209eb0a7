"""One decision that an architecture makes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

Label = str | int | float | bool | None
"""What names an option in files and on screen; any JSON scalar."""

Value = Label | tuple[Label, ...]
"""What an architecture holds for a choice: one label, or ``k`` of them in the order offered."""


@dataclass(frozen=True)
class Choice:
    """A named decision between ``options``, of which ``k`` are taken (1 unless it picks inputs).

    ``structural`` choices decide which choices come after them (depth, layer type); the others
    choose an operation or a connection in place, so a supernet can hold all their options.
    """

    name: str
    options: tuple[Label, ...]
    k: int | None = None
    structural: bool = False

    @property
    def values(self) -> Sequence[Value]:
        """Everything an architecture may hold for this choice."""
        if self.k is None:
            return self.options
        return tuple(combinations(self.options, self.k))

    @property
    def ordered(self) -> bool:
        """Whether the options are ascending numbers, the nearer the less they differ."""
        numbers = [o for o in self.options if isinstance(o, int | float) and type(o) is not bool]
        return self.k is None and sorted(numbers) == list(self.options)

    def weights(self, value: Value) -> list[float]:
        """One-hot (``k``-hot) vector of ``value``, shape ``[n_options]``."""
        taken: tuple[Any, ...] = value if isinstance(value, tuple) else (value,)
        return [1.0 if option in taken else 0.0 for option in self.options]
