"""What is known of a network without training it."""

from collections.abc import Mapping

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.errors import FAILURES
from hwnas.core.objective import Objectives


class Costs:
    """The metrics of the ``cheap`` objectives, of each network computed once."""

    def __init__(self, context: Context) -> None:
        self.cheap = Objectives([o for o in context.objectives if o.metric.cheap])
        self._context = context
        self._known: dict[Architecture, dict[str, float] | None] = {}

    def __call__(self, architecture: Architecture) -> Mapping[str, float] | None:
        """By name; None if they cannot be told."""
        if architecture not in self._known:
            try:
                found = self._context.costs(architecture) if len(self.cheap) else {}
                self._known[architecture] = {o.name: found[o.name] for o in self.cheap}
            except FAILURES:  # nor could it be trained
                self._known[architecture] = None
        return self._known[architecture]

    def allowed(self, architecture: Architecture) -> Mapping[str, float] | None:
        """The same; None also where they pass a limit."""
        costs = self(architecture)
        return costs if costs is not None and self.cheap.violation(costs) <= 0 else None
