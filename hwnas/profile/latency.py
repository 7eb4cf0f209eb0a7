"""Latency of inference, measured."""

from collections.abc import Mapping

from hwnas.core.architecture import Architecture
from hwnas.core.metric import Metric
from hwnas.core.profiler import Profiler
from hwnas.core.setting import Setting
from hwnas.profile.runner import require, runner, threads
from hwnas.profile.stopwatch import Stopwatch
from hwnas.space.replay import build


class Latency(Profiler):
    """Time of one inference of a batch by torch on the device.

    ``replicates`` calls are timed, or as many as fit into ``seconds``. Besides the median come its
    95 % interval (``latency_low_ms``, ``latency_high_ms``) and the tail (``latency_p95_ms``,
    ``latency_p99_ms``). Raises :class:`HwnasError` where the device cannot be had here.
    """

    metrics = (Metric("latency_ms", unit="ms"),)
    exclusive = True

    def __init__(self, setting: Setting, *, replicates: int = 100, seconds: float = 0.3) -> None:
        super().__init__(setting)
        require(setting.device)
        self._stopwatch = Stopwatch(replicates, seconds, cuda=setting.device.kind == "cuda")

    def measure(self, architecture: Architecture) -> Mapping[str, float]:
        """Milliseconds, of a network with random weights."""
        graph = build(self.setting.space, architecture)
        with threads(self.setting.device.threads):
            timing = self._stopwatch.time(runner(graph, self.setting.device))
        return timing.metrics()
