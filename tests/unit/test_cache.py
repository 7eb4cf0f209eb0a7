"""The cache: the same network is trained once, whoever finishes first and whatever is killed."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hwnas.core import (
    Architecture,
    Context,
    HwnasError,
    Metric,
    Objective,
    Objectives,
    Outcome,
    Proposal,
    Setting,
    Strategy,
)
from hwnas.core.registry import create
from hwnas.estimate.shared import Shared
from hwnas.estimate.wrap.cache import Cache
from hwnas.estimate.wrap.parallel import Parallel
from hwnas.graph.fingerprint import fingerprint
from hwnas.pipeline.archive import Archive
from hwnas.pipeline.config import read
from hwnas.pipeline.driver import Driver
from hwnas.pipeline.pipeline import execute, prepare
from hwnas.pipeline.run import Run
from hwnas.profile.latency import Latency
from hwnas.space.nas_bench_201 import NasBench201, from_string
from hwnas.space.replay import build
from hwnas.testing import FakeEstimator, FakeTask
from hwnas.testing.estimator import ESTIMATOR_CHECKS, Bench
from hwnas.track.store import Store
from tests.e2e.kill import TINY

TASK = FakeTask()
SPACE = NasBench201(TASK.input, TASK.outputs, cells=1, channels=2)

# Two ways to write one cell, and another.
ONE = from_string("|nor_conv_1x1~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|")
TWIN = from_string("|none~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|avg_pool_3x3~2|")
OTHER = from_string("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|")


class Learner(FakeEstimator):
    """Measures the error alone."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(m for m in super().metrics if m.name == "error")


class Counting(Learner):
    """An error that depends on the proposal's id, as it does on a seed; notes its work."""

    def __init__(self, setting: Setting, **options: Any) -> None:
        super().__init__(setting, **options)
        self.trained: list[int] = []

    def _estimate(self, proposal: Proposal) -> Outcome:
        self.trained.append(proposal.id)
        outcome = super()._estimate(proposal)
        metrics = {k: v + proposal.id / 1000 for k, v in outcome.metrics.items()}
        spent = replace(outcome.spent, seconds=1.0)
        return replace(outcome, metrics=metrics, spent=spent, curve=(0.5, 0.25))


class Cached(Cache):
    """As the contract suite builds one; it asks for weights to be kept, which a cache refuses."""

    def __init__(self, setting: Setting) -> None:
        setting = replace(setting, keep=False)
        super().__init__(setting, Learner(setting))
        self.provides -= {"inherit"}  # who inherits asks for weights to be kept


def cached(folder: Path | None = None, **options: Any) -> tuple[Cache, Counting]:
    setting = Setting(SPACE, TASK, folder=folder)
    inner = Counting(setting, **options)
    return Cache(setting, inner), inner


def outcomes(cache: Cache, *proposals: Proposal) -> list[Outcome]:
    found = list(cache.estimate(iter(proposals)))
    assert sorted(o.proposal.id for o in found) == sorted(p.id for p in proposals)
    return sorted(found, key=lambda o: o.proposal.id)


@pytest.mark.parametrize("check", ESTIMATOR_CHECKS, ids=lambda c: c.__name__)
def test_the_contract(check: Callable[[Bench], None], tmp_path: Path) -> None:
    check(Bench(Cached, {}, SPACE, tmp_path))


def test_a_twin_costs_nothing() -> None:
    assert ONE != TWIN
    cache, inner = cached()
    first, hit, other = outcomes(
        cache, Proposal(0, ONE, 9), Proposal(1, TWIN, 9), Proposal(2, OTHER, 9)
    )
    assert inner.trained == [0, 2]
    assert hit.proposal == Proposal(1, TWIN, 9)
    assert hit.metrics == first.metrics != other.metrics
    assert hit.curve == first.curve
    assert (hit.spent.train, hit.spent.steps, hit.spent.seconds) == (9, 9, 0.0)
    assert first.spent.seconds == 1.0


@pytest.mark.parametrize(
    ("changed", "known"),
    [
        ({"train": 3}, True),
        ({"score": 2}, True),
        ({"score": 0}, False),
        ({"gradient": 1}, False),
        ({"parent": 0}, False),
    ],
    ids=str,
)
def test_other_conditions_are_another_estimate(changed: dict[str, Any], known: bool) -> None:
    cache, inner = cached()
    second = replace(Proposal(1, TWIN, 9), **changed)
    outcomes(cache, Proposal(0, ONE, 9), second, replace(second, id=2))
    assert inner.trained == ([0, 1] if known else [0, 1, 2])


def test_a_failed_estimate_is_not_reused() -> None:
    cache, inner = cached(fails=[0])
    failed, second, third = outcomes(cache, *(Proposal(i, ONE, 9) for i in range(3)))
    assert failed.failed is not None
    assert inner.trained == [0, 1]
    assert third.metrics == second.metrics


def test_what_cannot_be_built_fails_alone() -> None:
    cache, inner = cached()
    strange = Architecture({"else": 1})
    _, *failed = outcomes(
        cache, Proposal(0, ONE, 9), Proposal(1, strange, 9), Proposal(2, strange, 9)
    )
    assert all(o.failed for o in failed)
    assert inner.trained == [0, 1, 2]


@pytest.mark.parametrize("fails", [[], [0], [0, 1]], ids=str)
@pytest.mark.parametrize("order", [None, 1, 2, 3, 4])
def test_a_twin_in_work_is_waited_for(fails: list[int], order: int | None) -> None:
    cache, inner = cached(slots=4, order=order, fails=fails)
    points = [ONE, TWIN, OTHER, ONE, TWIN, OTHER]
    found = outcomes(cache, *(Proposal(i, p, 9) for i, p in enumerate(points)))
    first = len(fails)  # the first of the class that does not fail
    owner = [0, 1, 3][first]
    assert sorted(inner.trained) == sorted({2, *fails, owner})
    for id in {0, 1, 3, 4} - set(fails):
        assert found[id].metrics == found[owner].metrics


def test_it_is_found_again_in_another_process(tmp_path: Path) -> None:
    cache, _ = cached(tmp_path)
    first, _ = outcomes(cache, Proposal(0, ONE, 9), Proposal(1, OTHER, 9))
    again, inner = cached(tmp_path)
    assert outcomes(again, Proposal(0, ONE, 9)) == [first]  # its own, with its seconds
    (hit,) = outcomes(again, Proposal(5, TWIN, 9))
    assert hit.metrics == first.metrics
    assert not inner.trained


def test_a_line_cut_off_by_a_kill_is_dropped(tmp_path: Path) -> None:
    cache, _ = cached(tmp_path)
    first, second = outcomes(cache, Proposal(0, ONE, 9), Proposal(1, OTHER, 9))
    path = tmp_path / "cache.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    again, inner = cached(tmp_path)
    assert outcomes(again, Proposal(0, ONE, 9), Proposal(1, OTHER, 9)) == [first, second]
    assert inner.trained == [1]
    assert path.read_bytes() == whole


def test_an_earlier_proposal_is_not_given_a_later_ones_estimate(tmp_path: Path) -> None:
    """0 failed and 1 was trained; killed before that was committed, 0 must fail again."""
    cache, _ = cached(tmp_path, fails=[0])
    before = outcomes(cache, *(Proposal(i, ONE, 9) for i in range(3)))
    again, inner = cached(tmp_path, fails=[0])
    assert outcomes(again, *(Proposal(i, ONE, 9) for i in range(3))) == before
    assert inner.trained == [0]


def test_it_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    setting = Setting(SPACE, TASK, folder=tmp_path)
    keeping = replace(setting, keep=True)
    with pytest.raises(HwnasError, match=r"search\.cache: .*weights of earlier") as caught:
        Cache(keeping, Counting(keeping))
    assert "cache: false" in caught.value.hint
    with pytest.raises(HwnasError, match=r"search\.cache: .*share weights"):
        Cache(setting, Shared(setting))
    with pytest.raises(HwnasError, match=r"measures flops, params"):
        Cache(setting, FakeEstimator(setting))


@pytest.mark.slow
def test_hits_cost_no_worker(tmp_path: Path) -> None:
    setting = Setting(SPACE, TASK, folder=tmp_path)
    cache = Cache(setting, Parallel(setting, {"name": "train", "epochs": 1}, 2))
    try:
        assert cache.slots == 4
        points = [ONE, OTHER, TWIN, ONE, OTHER]
        found = outcomes(cache, *(Proposal(i, p, 1) for i, p in enumerate(points)))
    finally:
        cache.close()
    assert all(o.failed is None for o in found)
    assert [o.spent.seconds == 0 for o in found] == [False, False, True, True, True]
    assert found[0].metrics == found[2].metrics == found[3].metrics
    assert found[1].metrics == found[4].metrics


class Killed(BaseException):
    """Stands for the end of the process."""


def search(
    folder: Path, config: Mapping[str, Any], slots: int, order: int | None, kill: int | None = None
) -> tuple[list[Outcome], list[int]]:
    """A search with a cache: its trials and what was trained.

    It is killed when ``kill`` trials were committed or estimates kept.
    """
    folder.mkdir(exist_ok=True)
    cache, inner = cached(folder, slots=slots, order=order, fails=range(3, 99, 11))
    goals = Objectives([Objective(m) for m in cache.metrics])
    context = Context(SPACE, goals, np.random.default_rng(4), cache.units, 60)
    strategy: Strategy = create("strategies", config, "search", context)
    archive = Archive(goals, cache.units, {"error": 2.0})
    left = itertools.count(-1 if kill is None else kill, -1)

    def progress() -> None:
        if next(left) == 0:
            raise Killed

    class Mortal(Cache):
        def save(self, key: str, outcome: Outcome) -> None:
            super().save(key, outcome)
            progress()

    cache.__class__ = Mortal
    with Store(folder / "trials.db") as store:
        driver = Driver(strategy, cache, [], archive, store, progress, interval=0.0)
        driver.resume()
        driver.run()
        return store.trials(), inner.trained


CONFIGS = [{"name": "random"}, {"name": "aging", "population": 8, "sample": 4}]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_search_does_not_depend_on_what_finishes_first(
    config: dict[str, Any], tmp_path: Path
) -> None:
    expected, trained = search(tmp_path / "calm", config, 5, None)
    assert len(trained) < len(expected)
    owners: dict[str, Outcome] = {}
    for outcome in expected:  # by the rule, from the trials alone
        assert isinstance(outcome.proposal.point, Architecture)
        key = fingerprint(build(SPACE, outcome.proposal.point))
        if outcome.failed is None:
            owner = owners.setdefault(key, outcome)
            assert outcome.metrics == owner.metrics
            assert outcome.spent.seconds == (outcome is owner)
    for order in (1, 2):
        assert search(tmp_path / str(order), config, 5, order)[0] == expected


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize(("slots", "order"), [(1, None), (4, 3)])
def test_a_search_killed_again_and_again(
    config: dict[str, Any], slots: int, order: int | None, tmp_path: Path
) -> None:
    expected, _ = search(tmp_path / "calm", config, slots, order)
    rng, kills = np.random.default_rng(0), 0
    while True:
        try:
            found, _ = search(tmp_path / "killed", config, slots, order, int(rng.integers(1, 20)))
            break
        except Killed:
            kills += 1
    assert kills >= 3
    assert found == expected


@pytest.fixture
def pipeline(tmp_path: Path) -> Callable[..., Run]:
    def make(**search: Any) -> Run:
        section = {
            "name": "random",
            "evaluations": 24,
            "cache": True,
            "estimator": {"name": "train", "epochs": 1, "fraction": 0.05},
            **search,
        }
        objectives = [{"metric": "error"}, {"metric": "latency_ms"}]
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump({**TINY, "objectives": objectives, "search": section}))
        return Run(read(path), tmp_path / "run", "tiny", lambda _: None)

    return make


def test_latency_is_measured_for_each(
    pipeline: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Architecture] = []

    def measure(self: Latency, architecture: Architecture) -> dict[str, float]:
        measured.append(architecture)
        return {"latency_ms": float(len(measured))}

    monkeypatch.setattr(Latency, "measure", measure)
    run = pipeline()
    execute(run, ["space"], prepare(run, ["space"], resume=False))
    before = len(measured)
    execute(run, ["search"], prepare(run, ["search"], resume=False))
    with Store(run.folder / "trials.db") as store:
        trials = store.trials()
    assert len(trials) == 24
    assert measured[before:] == [o.proposal.point for o in trials]
    assert len({o.metrics["latency_ms"] for o in trials}) == 24
    hits = [o for o in trials if o.spent.seconds == 0]
    assert hits
    for hit in hits:
        assert any(
            o.metrics["error"] == hit.metrics["error"] and o.spent.steps == hit.spent.steps
            for o in trials
            if o.spent.seconds > 0
        )
    lines = (run.folder / "search" / "cache.jsonl").read_text().splitlines()
    assert len(lines) == 24 - len(hits)


def test_a_pipeline_that_cannot_have_one_says_so(pipeline: Callable[..., Run]) -> None:
    with pytest.raises(HwnasError, match=r"search\.cache"):
        pipeline(name="hyperband", estimator={"name": "train", "epochs": 9}).check()
    with pytest.raises(HwnasError, match=r"search\.cache"):
        pipeline(name="darts", steps=2, estimator={"name": "shared"}).check()
