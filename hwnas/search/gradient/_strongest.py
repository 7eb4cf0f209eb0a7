"""The network that architecture parameters end with."""

from collections.abc import Collection, Mapping

import numpy as np

from hwnas.core.choice import Choice, Value
from hwnas.search.gradient._descent import Parameters


class Strongest:
    """Answers with the option, or the ``k`` options, of the largest strengths, ``[n_options]``.

    What is ``barred`` of a choice, by index, is not taken while there is something else.
    """

    def __init__(self, strengths: Parameters, barred: Mapping[str, Collection[int]]) -> None:
        self._strengths = strengths
        self._barred = barred

    def __call__(self, choice: Choice) -> Value:
        """The value taken of a choice."""
        ranked = self._ranked(choice.name)
        if choice.k is None:
            return choice.options[ranked[0]]
        return tuple(choice.options[i] for i in sorted(ranked[: choice.k]))

    def leader(self, name: str) -> int:
        """The index of the strongest option of a choice."""
        return self._ranked(name)[0]

    def _ranked(self, name: str) -> list[int]:
        barred = self._barred.get(name, ())
        ranked: list[int] = np.argsort(-self._strengths[name], kind="stable").tolist()
        return sorted(ranked, key=lambda i: i in barred)
