"""Timing: the statistics, the protocol, and that it tells a big network from a small one."""

from __future__ import annotations

import gc
import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwnas.core.architecture import Architecture
from hwnas.core.device import Device
from hwnas.core.errors import HwnasError
from hwnas.core.mixture import Mixture
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.setting import Setting
from hwnas.core.tensor_type import TensorType
from hwnas.profile.conditions import conditions
from hwnas.profile.latency import Latency
from hwnas.profile.stopwatch import Stopwatch, Timing, summary, within
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.space.replay import build, relax

QUICK = Stopwatch(replicates=20, seconds=5.0)


class Clock:
    """Goes on only while something sleeps by it: times do not depend on how busy a machine is."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("hwnas.profile.stopwatch.perf_counter", made)
    return made


def latency(channels: int, device: Device = Device(), **options: Any) -> Latency:
    space = NasBench201(TensorType((3, 16, 16)), 10, cells=1, channels=channels)
    return Latency(Setting(space, task=None, device=device), **options)  # type: ignore[arg-type]


def dense(op: str = "nor_conv_3x3") -> Architecture:
    return Architecture({f"{i}-{j}": op for j in range(1, 4) for i in range(j)})


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=40))
def test_the_interval_contains_the_median(samples: list[float]) -> None:
    timing = summary(np.array(samples))
    assert min(samples) <= timing.low <= timing.median <= timing.high <= max(samples)
    assert timing.median <= timing.p95 <= timing.p99 <= max(samples)
    assert timing.calls == len(samples)


def test_outliers_are_left_out_of_the_median_but_not_of_the_tail() -> None:
    samples = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 1.0, 50.0])
    assert list(within(samples)) == [1.0, 1.1, 0.9, 1.05, 0.95, 1.0]
    timing = summary(samples)
    assert (timing.outliers, timing.median, timing.calls) == (1, 1.0, 7)
    assert timing.high <= 1.1
    assert timing.p99 > 40


def test_the_interval_covers_the_true_median_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    truth = math.exp(0.5)
    timings = [summary(rng.lognormal(0.5, 0.05, 60)) for _ in range(300)]
    assert 0.9 <= np.mean([t.low <= truth <= t.high for t in timings]) <= 0.99


def test_what_is_timed_is_the_call(clock: Clock) -> None:
    timing = QUICK.time(lambda: clock.sleep(0.002))
    assert timing.low == pytest.approx(2.0)
    assert timing.high == pytest.approx(2.0)
    assert timing.calls == 20


def test_a_sleep_takes_as_long_as_it_must() -> None:  # with the clock that there is
    assert Stopwatch(replicates=5).time(lambda: time.sleep(0.002)).low >= 1.9


def test_the_budget_ends_a_slow_measurement_after_five_calls(clock: Clock) -> None:
    called: list[None] = []

    def slow() -> None:
        called.append(None)
        clock.sleep(0.03)

    timing = Stopwatch(replicates=100, seconds=0.02).time(slow)
    assert timing.calls == 5
    assert len(called) == 6  # and one of warm-up


def test_warm_up_goes_on_until_stable(clock: Clock) -> None:
    calls: list[int] = []

    def settling() -> None:  # slow at first, like a kernel that is being tuned
        clock.sleep(max(0.02 / 2 ** (len(calls) // 5), 0.002))
        calls.append(len(calls))

    timing = Stopwatch(replicates=10, seconds=2.0).time(settling)
    assert timing.median == pytest.approx(2.0)
    assert len(calls) - timing.calls >= 20  # 20, 10, 5, 2.5 ms and then it is stable


def test_interleaved_calls_take_turns(clock: Clock) -> None:
    order: list[str] = []
    watch = Stopwatch(replicates=6, seconds=5.0)
    timings = watch.interleave(
        [
            lambda: order.append("a") or clock.sleep(0.001),
            lambda: order.append("b") or clock.sleep(0.003),
        ]
    )
    assert "".join(order[-12:]) == "abbaabbaabba"
    assert [t.median for t in timings] == pytest.approx([1.0, 3.0])


@pytest.mark.parametrize("on", [True, False])
def test_the_garbage_collector_is_off_while_timing_and_as_before_afterwards(on: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        seen: list[bool] = []
        QUICK.time(lambda: seen.append(gc.isenabled()))
        assert not any(seen)
        assert gc.isenabled() is on

        def fails() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            QUICK.time(fails)
        assert gc.isenabled() is on
    finally:
        (gc.enable if before else gc.disable)()


def test_metrics_of_a_network() -> None:
    found = latency(4, replicates=20, seconds=0.1).measure(dense())
    assert list(found) == [
        "latency_ms", "latency_p95_ms", "latency_p99_ms", "latency_low_ms", "latency_high_ms",
    ]  # fmt: skip
    assert 0 < found["latency_low_ms"] <= found["latency_ms"] <= found["latency_high_ms"]
    assert found["latency_ms"] <= found["latency_p95_ms"] <= found["latency_p99_ms"]


def test_the_network_that_is_given_is_what_is_timed(clock: Clock) -> None:
    def millisecond(module: torch.nn.Module, *_: Any) -> None:
        if isinstance(module, torch.nn.Conv2d):
            clock.sleep(0.001)

    hook = torch.nn.modules.module.register_module_forward_hook(millisecond)
    try:
        small, big = (latency(4).measure(dense(op)) for op in ("skip_connect", "nor_conv_3x3"))
    finally:
        hook.remove()
    rest = 1 + 2 * 3  # the stem, and two residual blocks with the shortcut
    assert small["latency_ms"] == pytest.approx(rest)
    assert big["latency_ms"] == pytest.approx(rest + 3 * 6)  # an edge of every stage's cell


def test_threads_and_randomness_are_left_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    def once(_: Stopwatch, call: Callable[[], Any]) -> Timing:  # threads in excess wait by spinning
        call()
        return summary(np.ones(1))

    monkeypatch.setattr(Stopwatch, "time", once)
    threads = torch.get_num_threads()
    state = torch.get_rng_state()
    during: list[int] = []
    profiler = latency(4, Device(threads=threads + 1))
    hook = torch.nn.modules.module.register_module_forward_hook(
        lambda *_: during.append(torch.get_num_threads())
    )
    try:
        profiler.measure(dense())
    finally:
        hook.remove()
    assert set(during) == {threads + 1}
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_the_network_runs_as_the_device_says() -> None:
    seen: set[Any] = set()

    def look(module: Any, inputs: Any, _: Any) -> None:
        if isinstance(module, torch.nn.Conv2d):
            x, layout = inputs[0], torch.channels_last
            dtypes = (x.dtype, module.weight.dtype)
            layouts = [t.is_contiguous(memory_format=layout) for t in (x, module.weight)]
            seen.add(
                (len(x), *dtypes, *layouts, module.training, torch.is_inference_mode_enabled())
            )

    hook = torch.nn.modules.module.register_module_forward_hook(look)
    try:
        device = Device(batch=3, precision="float64")
        assert latency(4, device, replicates=5, seconds=0.05).measure(dense())["latency_ms"] > 0
    finally:
        hook.remove()
    assert seen == {(3, torch.float64, torch.float64, True, True, False, True)}


def relaxed(profiler: Latency, shares: dict[str, float], **spend: Any) -> Outcome:
    """A mixture of these options on every edge, profiled."""
    _, choices = relax(profiler.setting.space)
    mixture = Mixture(
        {n: np.array([shares.get(str(o), 0.0) for o in c.options]) for n, c in choices.items()}
    )
    return profiler.complete(Outcome(Proposal(0, mixture, **spend), {"error": 0.5}))


def test_a_mixture_has_the_expected_sum_of_its_operations_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = np.random.default_rng(0)

    def some(*_: Any) -> Timing:  # of another length each time: operations cannot be mixed up
        return summary(drawn.uniform(1.0, 2.0, 1))

    monkeypatch.setattr(Stopwatch, "time", some)
    profiler = latency(4)
    profiler.setting = replace(profiler.setting, folder=tmp_path)
    shares = {"nor_conv_3x3": 0.25, "skip_connect": 0.75}
    both = relaxed(profiler, shares, train=0, score=1)
    times = json.loads((tmp_path / "operator_times.json").read_text())

    def alone(architecture: Architecture) -> float:
        graph = build(profiler.setting.space, architecture)
        return sum(
            times[f"{node.op!r} of {', '.join(repr(i.type) for i in node.inputs)}"]
            for node in graph
            if node.op is not None
        )

    def expected(**fixed: str) -> float:  # over all networks of the mixture, one by one
        edges = {name: [fixed[name]] if name in fixed else list(shares) for name in dense()}
        total = 0.0
        for ops in product(*edges.values()):
            chance = math.prod(
                shares[op] for e, op in zip(edges, ops, strict=True) if e not in fixed
            )
            total += chance * alone(Architecture(dict(zip(edges, ops, strict=True))))
        return total

    assert both.metrics["latency_ms"] == pytest.approx(expected())
    assert not both.gradients
    spend = {"train": 1, "score": 0, "gradient": 1}
    slopes = relaxed(profiler, shares, **spend).gradients["latency_ms"]
    options = [str(o) for o in relax(profiler.setting.space)[1]["0-1"].options]
    conv, skip = (options.index(op) for op in shares)
    for edge, slope in slopes.items():
        gap = expected(**{edge: "nor_conv_3x3"}) - expected(**{edge: "skip_connect"})
        assert slope[conv] - slope[skip] == pytest.approx(gap)
    for op in shares:
        lone = relaxed(profiler, {op: 1.0}, **spend)
        assert lone.metrics["latency_ms"] == pytest.approx(alone(dense(op)))
        for edge, slope in slopes.items():  # of one operation more there, whatever is elsewhere
            np.testing.assert_allclose(slope, lone.gradients["latency_ms"][edge])


def test_operations_are_timed_once_for_a_search_and_its_continuation(tmp_path: Path) -> None:
    def expected() -> float:
        profiler = latency(4)
        profiler.setting = replace(profiler.setting, folder=tmp_path)
        spend = {"train": 1, "score": 0, "gradient": 1}
        return relaxed(profiler, {"nor_conv_3x3": 1.0}, **spend).metrics["latency_ms"]

    before = expected()
    kept = json.loads((tmp_path / "operator_times.json").read_text())
    assert 0 < max(kept.values()) <= before <= 10 * sum(kept.values())
    assert expected() == before
    assert not list(tmp_path.glob("*.partial"))


def test_what_is_only_trained_is_not_timed() -> None:
    outcome = relaxed(latency(4), {"skip_connect": 1.0}, train=1, score=0)
    assert dict(outcome.metrics) == {"error": 0.5}


def test_mistakes_are_told_before_anything_runs() -> None:
    with pytest.raises(HwnasError, match=r"device\.runtime"):
        latency(4, Device(runtime="onnxruntime"))
    with pytest.raises(HwnasError, match="threads"):
        latency(4, Device(threads=0))
    with pytest.raises(HwnasError, match="replicates"):
        latency(4, replicates=0)
    if not torch.cuda.is_available():
        with pytest.raises(HwnasError, match=r"device\.kind"):
            latency(4, Device(kind="cuda"))


def test_conditions_are_plain_json_and_name_the_machine() -> None:
    found = conditions()
    assert json.loads(json.dumps(found)) == found
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert found["cpu"]
    assert ("gpu" in found) == torch.cuda.is_available()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_events_time_the_work_and_not_its_launch() -> None:
    x = torch.randn(4096, 4096, device="cuda")
    timing = Stopwatch(replicates=50, seconds=1.0, cuda=True).time(lambda: x @ x)
    assert timing.median > 0.1  # 137 GFLOP; the launch alone takes 0.01 ms
    profiler = latency(16, Device(kind="cuda", batch=8, precision="float16"))
    assert profiler.measure(dense())["latency_ms"] > 0
    assert {"name", "driver", "temperature_c"} <= set(conditions()["gpu"])
