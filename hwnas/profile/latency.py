"""Latency of inference, measured."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from hwnas.core.architecture import Architecture
from hwnas.core.metric import Metric
from hwnas.core.mixture import Mixture
from hwnas.core.outcome import Outcome
from hwnas.core.profiler import Profiler
from hwnas.core.setting import Setting
from hwnas.profile.expectation import Expectation
from hwnas.profile.operator_times import OperatorTimes
from hwnas.profile.runner import require, runner, threads
from hwnas.profile.stopwatch import Stopwatch, uncollected
from hwnas.space.replay import build

_OPERATOR = 0.1  # of a network's seconds, for an operation


class Latency(Profiler):
    """Time of one inference of a batch by torch on the device.

    ``replicates`` calls are timed, or as many as fit into ``seconds``. Besides the median come its
    95 % interval (``latency_low_ms``, ``latency_high_ms``) and the tail (``latency_p95_ms``,
    ``latency_p99_ms``). Raises :class:`HwnasError` where the device cannot be had here.

    Of a mixture it is the expected sum over operations, each timed alone once, with its gradient
    (ProxylessNAS, Cai et al. 2019, section 3.3); what mixtures a step only trains is not timed.
    """

    metrics = (Metric("latency_ms", unit="ms"),)
    exclusive = True

    def __init__(self, setting: Setting, *, replicates: int = 100, seconds: float = 0.3) -> None:
        super().__init__(setting)
        require(setting.device)
        self._stopwatch = Stopwatch(replicates, seconds, cuda=setting.device.kind == "cuda")
        self._operators = replace(self._stopwatch, seconds=_OPERATOR * seconds)

    def measure(self, architecture: Architecture) -> Mapping[str, float]:
        """Milliseconds, of a network with random weights."""
        graph = build(self.setting.space, architecture)
        with threads(self.setting.device.threads):
            timing = self._stopwatch.time(runner(graph, self.setting.device))
        return timing.metrics()

    def complete(self, outcome: Outcome) -> Outcome:
        """The outcome with the latency, or its expectation and gradient; failed ones unchanged."""
        proposal = outcome.proposal
        wanted = proposal.gradient or proposal.score != 0
        if outcome.failed is not None or not isinstance(proposal.point, Mixture) or not wanted:
            return super().complete(outcome)
        return self._expectation.complete(outcome, proposal.point, self.metrics[0].name)

    @cached_property
    def _expectation(self) -> Expectation:
        folder = self.setting.folder
        path = None if folder is None else folder / "operator_times.json"
        times = OperatorTimes(self.setting.device, self._operators, path)
        with uncollected():
            return Expectation(self.setting.space, times)
