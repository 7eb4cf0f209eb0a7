"""The driver: the order of tells, commits, resuming, and searches that cannot go on."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwnas.core import (
    Architecture,
    Context,
    Estimator,
    HwnasError,
    Metric,
    Objective,
    Objectives,
    Outcome,
    Profiler,
    Proposal,
    Setting,
    Strategy,
    TensorType,
)
from hwnas.core.registry import create
from hwnas.core.state import loads
from hwnas.pipeline.archive import Archive
from hwnas.pipeline.driver import Driver
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.testing import FakeEstimator, FakeTask
from hwnas.track.store import Store

SPACE = NasBench201(TensorType((1, 4, 4)), 3, cells=1, channels=2)
REFERENCE = {"error": 2.0, "loss": 10.0, "flops": 2.0, "params": 2.0}
STRATEGIES: list[dict[str, Any]] = [
    {"name": "random"},
    {"name": "aging", "population": 4, "sample": 2},
    {"name": "nsga2", "population": 4},
    {"name": "hyperband"},
    {"name": "hyperband", "strategy": {"name": "nsga2", "population": 4}},
    {"name": "darts", "steps": 12},
]


class Killed(BaseException):
    """Stands for the end of the process."""


class Rig:
    """A search of the fake estimator in a folder, as a stage would set it up."""

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any] | type[Strategy],
        estimator: Estimator | None = None,
        profilers: list[Profiler] | None = None,
        evaluations: int = 24,
        interval: float = 0.0,
        kill: int | None = None,
        **fake: Any,
    ) -> None:
        folder.mkdir(exist_ok=True)
        setting = Setting(SPACE, FakeTask(), folder=folder, keep=True)
        self.estimator = estimator or FakeEstimator(setting, **fake)
        goals = Objectives([Objective(m) for m in self.estimator.metrics[:2]])
        context = Context(SPACE, goals, np.random.default_rng(0), self.estimator.units, evaluations)
        made = isinstance(config, type)
        self.strategy: Strategy = (
            config(context) if made else create("strategies", config, "search", context)  # type: ignore[operator,arg-type]
        )
        self.archive = Archive(goals, self.estimator.units, REFERENCE)
        self.store = Store(folder / "trials.db")
        self.told: list[int] = []
        self.kill = kill
        tell = self.strategy._tell

        def listen(outcome: Outcome) -> None:
            self.told.append(outcome.proposal.id)
            tell(outcome)

        self.strategy._tell = listen  # type: ignore[method-assign]
        self.driver = Driver(
            self.strategy,
            self.estimator,
            profilers or [],
            self.archive,
            self.store,
            self._progress,
            interval,
        )

    def _progress(self) -> None:
        if self.kill is not None:
            self.kill -= 1
            if self.kill == 0:
                raise Killed

    def run(self) -> list[Outcome]:
        with self.store as store:
            self.driver.resume()
            self.driver.run()
            return store.trials()


@pytest.mark.parametrize("config", STRATEGIES, ids=str)
@pytest.mark.parametrize("slots", [2, 5])
def test_told_in_the_order_asked_whatever_finishes_first(
    config: dict[str, Any], slots: int, tmp_path: Path
) -> None:
    runs = []
    for order in (None, 1, 2):
        rig = Rig(tmp_path / str(order), config, slots=slots, order=order)
        runs.append(rig.run())
        assert rig.told == sorted(rig.told)
        assert not rig.strategy.pending
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("config", STRATEGIES, ids=str)
@pytest.mark.parametrize(("slots", "order"), [(1, None), (4, 3)])
def test_killed_again_and_again(
    config: dict[str, Any], slots: int, order: int | None, tmp_path: Path
) -> None:
    calm = Rig(tmp_path / "calm", config, slots=slots, order=order)
    expected = calm.run()
    folder = tmp_path / "killed"
    rng, kills = np.random.default_rng(0), 0
    while True:
        rig = Rig(folder, config, slots=slots, order=order, kill=int(rng.integers(1, 4)))
        try:
            trials = rig.run()
            break
        except Killed:
            rig.store.__exit__()
            kills += 1
    assert kills >= 3
    assert trials == expected
    assert rig.archive.trials == calm.archive.trials
    assert rig.archive.hypervolume == calm.archive.hypervolume
    with Store(folder / "trials.db") as a, Store(tmp_path / "calm/trials.db") as b:
        assert a.curve() == b.curve()
        assert a.samples() == b.samples()


def test_a_trial_and_its_snapshot_are_one_commit(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"name": "aging", "population": 4, "sample": 2}, kill=7)
    with pytest.raises(Killed):
        rig.run()
    with Store(tmp_path / "trials.db") as store:
        snapshot = store.snapshot()
        assert snapshot is not None
        last, state = snapshot
        trials = store.trials()
        assert len(trials) == 7
        assert last == trials[-1].proposal.id
        assert len(loads(state)["own"]["population"]) == 4
        assert loads(state)["context"]["next_id"] > last
        assert len(store.curve()) == 7


def test_training_steps_are_committed_together(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"name": "darts", "steps": 12}, interval=1e9)
    trials = rig.run()
    with Store(tmp_path / "trials.db") as store:
        assert [id for id, _ in store.samples()] == list(range(12))
        assert [o.proposal.id for o in trials] == [12]
        assert len(store.curve()) == 1
        told = store.diagnostics()
    assert [id for id, _ in told] == list(range(12))
    assert all(set(numbers) == {"entropy", "skip_share"} for _, numbers in told)


def test_what_finished_before_the_kill_is_not_done_again(tmp_path: Path) -> None:
    first = Rig(tmp_path, {"name": "random"}, slots=4, order=3, kill=3)
    with pytest.raises(Killed):
        first.run()
    first.store.__exit__()
    with Store(tmp_path / "trials.db") as store:
        known = {o.proposal.id for o in store.trials()}
    estimated: list[int] = []

    class Counting(FakeEstimator):
        def _estimate(self, proposal: Proposal) -> Outcome:
            estimated.append(proposal.id)
            return super()._estimate(proposal)

    setting = Setting(SPACE, FakeTask(), folder=tmp_path, keep=True)
    trials = Rig(tmp_path, {"name": "random"}, Counting(setting, slots=4, order=3)).run()
    assert len(trials) == 24
    assert not known & set(estimated)
    assert len(estimated) == 24 - len(known)


class Stalled(Strategy):
    """Waits, although nothing is pending."""

    def _ask(self, n: int) -> list[Proposal]:
        return []

    def _tell(self, outcome: Outcome) -> None:
        pass


def test_a_stalled_strategy_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="asks for nothing"):
        Rig(tmp_path, Stalled).run()


@pytest.mark.parametrize("config", STRATEGIES, ids=str)
def test_a_search_in_which_all_fail_stops_with_the_first_reason(
    config: dict[str, Any], tmp_path: Path
) -> None:
    rig = Rig(tmp_path, config, fails=range(10**6))
    with pytest.raises(HwnasError, match=r"all of the first \d+ candidates failed") as caught:
        rig.run()
    first = rig.archive.trials[0]
    assert f"proposal {first.proposal.id} was chosen to fail" in caught.value.message
    assert len(rig.archive.trials) <= 10
    assert caught.value.hint


def test_some_may_fail(tmp_path: Path) -> None:
    trials = Rig(tmp_path, {"name": "random"}, fails=range(0, 100, 2)).run()
    assert [o.failed is None for o in trials] == [id % 2 == 1 for id in range(24)]
    assert all(not o.metrics for o in trials if o.failed)


class Counted(Profiler):
    """A metric, and what goes wrong with it."""

    metrics = (Metric("flops", cheap=True),)

    def __init__(self, value: float | Exception) -> None:
        super().__init__(Setting(SPACE, FakeTask()))
        self._value = value
        self._count = 0

    def measure(self, architecture: Architecture) -> Mapping[str, float]:
        self._count += 1
        if self._count == 3 and isinstance(self._value, Exception):
            raise self._value
        return {"flops": float(self._value) if self._count == 3 else self._count}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (RuntimeError("out of memory"), "RuntimeError: out of memory"),
        (HwnasError("no such operator"), "no such operator"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
    ids=repr,
)
def test_a_profiler_that_fails_fails_the_trial(
    value: float | Exception, reason: str, tmp_path: Path
) -> None:
    trials = Rig(tmp_path, {"name": "random"}, profilers=[Counted(value)]).run()
    assert [o.proposal.id for o in trials if o.failed] == [2]
    assert reason in str(trials[2].failed)
    assert trials[2].metrics == {}
    assert trials[0].metrics["flops"] == 1


def test_a_fault_of_ours_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        Rig(tmp_path, {"name": "random"}, profilers=[Counted(KeyError("a bug"))]).run()


class Broken(Estimator):
    """Loses what it was given."""

    def estimate(self, proposals: Iterable[Proposal]) -> Iterator[Outcome]:
        list(zip(range(2), proposals, strict=False))
        yield from ()

    def _estimate(self, proposal: Proposal) -> Outcome:
        raise NotImplementedError


def test_an_estimator_that_loses_proposals_does_not_hang(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"name": "random"}, Broken(Setting(SPACE, FakeTask())), evaluations=2)
    with pytest.raises(RuntimeError):
        rig.run()


def test_the_front_holds_full_feasible_undominated_trials_only() -> None:
    error, flops = Metric("error"), Metric("flops")
    goals = Objectives([Objective(error, 0.5), Objective(flops)])
    archive = Archive(goals, 3, {"error": 1.0, "flops": 10.0})
    point = sample(SPACE, np.random.default_rng(0))

    def trial(id: int, error: float, flops: float, train: int = 3) -> Outcome:
        outcome = Outcome(Proposal(id, point, train), {"error": error, "flops": flops})
        return replace(outcome, spent=replace(outcome.spent, train=train))

    trials = [
        trial(0, 0.4, 5.0),
        trial(1, 0.1, 1.0, train=2),  # less than full training
        trial(2, 0.6, 1.0),  # over the limit
        trial(3, 0.5, 2.0),
        Outcome(Proposal(4, point, 3), failed="no"),
        trial(5, 0.4, 4.0),  # dominates 0
        trial(6, 0.45, 9.0),
    ]
    curve = archive.extend(trials)
    assert [o.proposal.id for o in archive.front] == [5, 3]
    assert [n for n, _ in curve] == [1, 2, 3, 4, 5, 6, 7]
    # (1 - 0.4)(10 - 5), and 0.5 (5 - 2) below it; then 0.6 (10 - 4), and 0.5 (4 - 2) below it.
    assert [v for _, v in curve] == pytest.approx([3.0, 3.0, 3.0, 4.5, 4.5, 4.6, 4.6])
    assert archive.share == pytest.approx(4.6 / 10)
    assert archive.failed == 1
    assert len(archive.trials) == 7


def test_the_share_of_the_box_of_a_maximised_metric() -> None:
    iou = Metric("mean_iou", goal="max", worst=0.0, best=1.0)
    goals = Objectives([Objective(iou), Objective(Metric("flops", cheap=True))])
    archive = Archive(goals, 1, {"mean_iou": 0.0, "flops": 10.0})
    point = sample(SPACE, np.random.default_rng(0))
    done = Outcome(Proposal(0, point, 1), {"mean_iou": 0.5, "flops": 5.0})
    archive.extend([replace(done, spent=replace(done.spent, train=1))])
    assert archive.hypervolume == pytest.approx(0.5 * 5)
    assert archive.share == pytest.approx(0.25)
