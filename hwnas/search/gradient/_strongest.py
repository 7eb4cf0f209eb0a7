"""The network that architecture parameters end with."""

import numpy as np

from hwnas.core.choice import Choice, Value
from hwnas.search.gradient._descent import Parameters


class Strongest:
    """Answers with the option, or the ``k`` options, of the largest parameters."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def __call__(self, choice: Choice) -> Value:
        """The value taken of a choice."""
        ranked = np.argsort(-self._parameters[choice.name], kind="stable")
        if choice.k is None:
            return choice.options[int(ranked[0])]
        return tuple(choice.options[i] for i in sorted(ranked[: choice.k]))
