"""How a time is taken: the protocol that every latency in hwnas follows."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from hwnas.core.errors import HwnasError

_FEWEST = 5  # calls that are timed however slow they are, and calls of a block of warm-up
_STABLE = 0.05  # relative difference of successive medians at which warm-up ends
_BLOCKS = 40  # of warm-up, at most
_RESAMPLES = 1000


@dataclass(frozen=True)
class Timing:
    """Milliseconds. ``low`` to ``high`` is the bootstrap 95 % interval of the median.

    The median and its interval leave ``outliers`` of the ``calls`` out; ``p95`` and ``p99`` do not,
    for slow calls are what a tail is made of.
    """

    median: float
    p95: float
    p99: float
    low: float
    high: float
    calls: int
    outliers: int

    def metrics(self) -> dict[str, float]:
        """Median, tail and interval under the names that latencies have as metrics."""
        return {
            "latency_ms": self.median,
            "latency_p95_ms": self.p95,
            "latency_p99_ms": self.p99,
            "latency_low_ms": self.low,
            "latency_high_ms": self.high,
        }


def within(samples: np.ndarray) -> np.ndarray:
    """The samples at most 1.5 interquartile ranges outside the quartiles (Tukey 1977)."""
    first, third = np.percentile(samples, [25, 75])
    reach = 1.5 * (third - first)
    kept: np.ndarray = samples[(samples >= first - reach) & (samples <= third + reach)]
    return kept


def summary(samples: np.ndarray) -> Timing:
    """The statistics of durations in milliseconds, shape ``[calls]``, at least one."""
    kept = within(samples)
    rng = np.random.default_rng(0)  # fixed, so that equal samples have equal intervals
    drawn = kept[rng.integers(len(kept), size=(_RESAMPLES, len(kept)))]
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return Timing(
        float(np.median(kept)),
        float(np.percentile(samples, 95)),
        float(np.percentile(samples, 99)),
        float(low),
        float(high),
        len(samples),
        len(samples) - len(kept),
    )


@contextmanager
def uncollected() -> Iterator[None]:
    """The garbage collector run, then off inside, and afterwards as it was.

    Inside another one it has nothing to do: a collection takes longer than many an operation.
    """
    if not gc.isenabled():
        yield
        return
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass(frozen=True)
class Stopwatch:
    """Times calls: ``replicates`` of them, or as many as fit into ``seconds`` (at least 5).

    Warm-up comes before, until successive medians differ by less than 5 % or as long again has
    passed. With ``cuda`` a call is timed on the GPU, between events, one call at a time.
    """

    replicates: int = 100
    seconds: float = 0.3
    cuda: bool = False

    def __post_init__(self) -> None:
        if self.replicates < 1 or self.seconds <= 0:
            raise HwnasError(
                f"replicates ({self.replicates}) must be at least 1"
                f" and seconds ({self.seconds}) above 0."
            )

    def time(self, call: Callable[[], Any]) -> Timing:
        """How long one call takes."""
        return self.interleave([call])[0]

    def interleave(self, calls: Sequence[Callable[[], Any]]) -> list[Timing]:
        """Times several calls in turn, so that a drift of the machine's clock meets them all.

        Every other round goes backwards: each call follows each neighbour equally often.
        ``seconds`` are for each call.
        """
        with uncollected():
            for call in calls:
                self._warm_up(call)
            samples: list[list[float]] = [[] for _ in calls]
            order = list(range(len(calls)))
            end = perf_counter() + self.seconds * len(calls)
            for done in range(self.replicates):
                if done >= _FEWEST and perf_counter() >= end:
                    break
                for i in order:
                    samples[i].append(self._once(calls[i]))
                order.reverse()
        return [summary(np.asarray(each)) for each in samples]

    def _warm_up(self, call: Callable[[], Any]) -> None:
        end = perf_counter() + self.seconds
        before = float("inf")
        for _ in range(_BLOCKS):
            block = []
            for _ in range(_FEWEST):
                block.append(self._once(call))
                if perf_counter() >= end:
                    return
            median = float(np.median(block))
            if abs(median - before) <= _STABLE * median:
                return
            before = median

    def _once(self, call: Callable[[], Any]) -> float:
        """Milliseconds of one call."""
        if not self.cuda:
            start = perf_counter()
            call()
            return (perf_counter() - start) * 1e3
        import torch

        event: Any = torch.cuda.Event  # without annotations
        first, last = event(enable_timing=True), event(enable_timing=True)
        torch.cuda.synchronize()
        first.record()
        call()
        last.record()
        last.synchronize()
        return float(first.elapsed_time(last))
