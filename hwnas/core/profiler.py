"""The contract of a profiler: metrics of the network, not of the task."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from hwnas.core.architecture import Architecture
from hwnas.core.metric import Metric
from hwnas.core.outcome import Outcome
from hwnas.core.setting import Setting


class Profiler(ABC):
    """Adds ``metrics`` to an outcome.

    ``exclusive`` profilers time real runs, so nothing else may run on the machine meanwhile.
    """

    paper: ClassVar[str] = ""
    metrics: ClassVar[tuple[Metric, ...]]
    exclusive: ClassVar[bool] = False

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    @property
    def cheap(self) -> bool:
        """Whether the metrics are known without running anything."""
        return all(m.cheap for m in self.metrics)

    @abstractmethod
    def measure(self, architecture: Architecture) -> Mapping[str, float]:
        """The metrics of one network, and their spread where they have one."""

    def complete(self, outcome: Outcome) -> Outcome:
        """The outcome with this profiler's metrics; failed and relaxed ones are left as they are.

        An additive metric overrides this to give a mixture its expectation and its gradient.
        """
        point = outcome.proposal.point
        if outcome.failed is not None or not isinstance(point, Architecture):
            return outcome
        return replace(outcome, metrics={**outcome.metrics, **self.measure(point)})
