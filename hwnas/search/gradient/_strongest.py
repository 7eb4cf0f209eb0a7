"""The network that architecture parameters end with."""

from collections.abc import Collection, Mapping

import numpy as np

from hwnas.core.choice import Choice, Value
from hwnas.search.gradient._descent import Parameters


class Strongest:
    """Answers with the option, or the ``k`` options, of the largest parameters.

    What is ``barred`` of a choice, by index, is not taken while there is something else.
    """

    def __init__(self, parameters: Parameters, barred: Mapping[str, Collection[int]]) -> None:
        self._parameters = parameters
        self._barred = barred

    def __call__(self, choice: Choice) -> Value:
        """The value taken of a choice."""
        taken = self.taken(choice)
        if choice.k is None:
            return choice.options[taken[0]]
        return tuple(choice.options[i] for i in sorted(taken))

    def taken(self, choice: Choice) -> list[int]:
        """The indices of what is taken, the strongest first."""
        barred = self._barred.get(choice.name, ())
        ranked = np.argsort(-self._parameters[choice.name], kind="stable").tolist()
        return sorted(ranked, key=lambda i: i in barred)[: choice.k or 1]
