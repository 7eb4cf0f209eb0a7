"""The base of metrics that are sums over a network's operations."""

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

from hwnas.core.architecture import Architecture
from hwnas.core.mixture import Mixture
from hwnas.core.outcome import Outcome
from hwnas.core.profiler import Profiler
from hwnas.core.tensor_type import TensorType
from hwnas.graph.op import Op
from hwnas.profile.expectation import Expectation
from hwnas.space.replay import build


class Additive(Profiler):
    """One metric, the sum of :meth:`cost` over the operations.

    ``once`` counts operations that share weights as one. A mixture gets the expectation and, where
    its proposal wants a gradient, the gradient.
    """

    once: ClassVar[bool] = False

    @abstractmethod
    def cost(self, op: Op, *inputs: TensorType) -> float:
        """What one operation adds, in the metric's unit."""

    def measure(self, architecture: Architecture) -> Mapping[str, float]:
        """The sum over the stand-alone network."""
        graph = build(self.setting.space, architecture)
        nodes = graph.owners() if self.once else graph
        costs = (self.cost(n.op, *[i.type for i in n.inputs]) for n in nodes if n.op is not None)
        return {self.metrics[0].name: float(sum(costs))}

    def complete(self, outcome: Outcome) -> Outcome:
        """The outcome with the metric, or its expectation and gradient; failed ones unchanged."""
        point = outcome.proposal.point
        if outcome.failed is not None or not isinstance(point, Mixture):
            return super().complete(outcome)
        return self._expectation.complete(outcome, point, self.metrics[0].name)

    @cached_property
    def _expectation(self) -> Expectation:
        return Expectation(self.setting.space, self.cost, self.once)
