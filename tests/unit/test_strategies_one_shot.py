"""One-shot search trains sums of options or single paths, then searches without training."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from hwnas.core import Architecture, HwnasError, Mixture, Outcome, TensorType
from hwnas.search.sharing.one_shot import OneShot
from hwnas.space.replay import relax
from hwnas.testing.play import Play
from tests.unit.searching import CELL, FAKE, TINY, context
from tests.unit.test_supernet import Darts

EDGES = relax(CELL)[1]
NSGA2 = {"name": "nsga2", "population": 10}


def steps(strategy: OneShot) -> list[Any]:
    """The points that are trained first."""
    return [o.proposal.point for o in Play(strategy).run() if o.proposal.score == 0]


def dropped(points: list[Mixture]) -> float:
    """The share of the options that are left out."""
    weights = [point.weights(choice) for point in points for choice in EDGES.values()]
    return float(np.mean(np.array(weights) == 0))


# what a step trains


def test_dropout_rises_linearly_to_the_kth_root_of_its_rate() -> None:
    n, rate, k = 800, 0.3, 5
    points = steps(OneShot(context(1), steps=n, rate=rate))
    assert dropped(points[:1]) == 0
    for first in range(0, n, 200):
        p = np.arange(first, first + 200) / (n - 1) * rate ** (1 / k)
        expected = (p - p**k / k).mean()  # one is kept where all would be dropped
        assert dropped(points[first : first + 200]) == pytest.approx(expected, abs=0.025)


def test_options_that_are_kept_are_added_up_and_nothing_else_is_computed() -> None:
    for point in steps(OneShot(context(1), steps=40)):
        for name, choice in EDGES.items():
            weights = point.weights(choice)
            assert set(weights) <= {0.0, 1.0}
            assert point.active[name] == tuple(np.flatnonzero(weights))


def test_where_all_would_be_dropped_one_is_kept_at_random() -> None:
    *_, last = steps(OneShot(context(1), steps=2, rate=1.0))
    assert all(len(taken) == 1 for taken in last.active.values())
    counts: Counter[int] = Counter()
    for seed in range(60):
        *_, last = steps(OneShot(context(1, seed=seed), steps=2, rate=1.0))
        counts.update(taken[0] for taken in last.active.values())
    assert len(counts) == 5
    assert min(counts.values()) > 0.6 * 60 * 6 / 5


def test_without_dropout_all_options_are_trained() -> None:
    assert dropped(steps(OneShot(context(1), steps=10, rate=0.0))) == 0


def test_a_uniform_path_takes_every_option_as_often() -> None:
    points = steps(OneShot(context(1), steps=1000, sampling="uniform"))
    for name, choice in EDGES.items():
        counts = Counter(point[name] for point in points)
        chi = sum((counts[option] - 200) ** 2 / 200 for option in choice.options)
        assert chi < 18.5  # 4 degrees of freedom, one in a thousand


@pytest.mark.parametrize("sampling", ["dropout", "uniform"])
def test_inputs_that_are_chosen(sampling: Any) -> None:
    space = Darts(TensorType((3, 8, 8)), 5)
    strategy = OneShot(context(5, space=space), steps=30, rate=0.9, sampling=sampling)
    for outcome in Play(strategy).run():
        point = outcome.proposal.point
        if isinstance(point, Mixture):
            assert all(point.active.values())
        else:
            assert len(point["inputs3"]) == 2  # type: ignore[arg-type]


# the two phases


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("fails", [False, True])
def test_steps_first_then_trials_that_train_nothing(slots: int, fails: bool) -> None:
    """The steps that fail are steps as well, and no step costs of the budget."""
    strategy = OneShot(context(12), steps=7, strategy={"name": "random"})
    outcomes = Play(strategy, slots, np.random.default_rng(0), lambda _: fails).run()
    asked = [(o.proposal.train, o.proposal.score, o.proposal.is_trial) for o in outcomes]
    assert asked == [(1, 0, False)] * 7 + [(0, None, True)] * 12
    assert all(isinstance(o.proposal.point, Architecture) for o in outcomes[7:])
    assert strategy.progress == (19, 19)


def test_a_step_waits_for_the_one_before() -> None:
    strategy = OneShot(context(12), steps=2)
    (first,) = strategy.ask(5)
    assert strategy.ask(5) == []
    assert not strategy.done
    assert strategy.progress == (0, 14)
    strategy.tell([Outcome(first)])
    (second,) = strategy.ask(5)
    strategy.tell([Outcome(second, failed="no")])
    assert strategy.progress == (2, 14)
    assert len(strategy.ask(5)) == 5


def test_the_inner_strategy_learns() -> None:
    def late(strategy: dict[str, Any] | None) -> float:
        points = [
            o.proposal.point for o in Play(OneShot(context(80), steps=2, strategy=strategy)).run()
        ]
        return float(np.mean([FAKE.value(point, "error") for point in points[-40:]]))

    assert late(NSGA2) < late(None) - 0.1


def test_a_failure_is_told_to_the_inner_strategy() -> None:
    strategy = OneShot(context(20), steps=1, strategy=NSGA2)
    heard = []
    strategy._inner._lost = heard.append  # type: ignore[method-assign,assignment]
    Play(strategy, fails=lambda count: count == 5).run()
    ((outcome,),) = [heard]
    assert outcome.failed == "chosen to fail"
    assert outcome.proposal.id == 4  # of the inner strategy's own


# mistakes


@pytest.mark.parametrize("name", ["hyperband", "darts", "one_shot", "hill_climbing"])
def test_inner_strategies_that_need_more_are_refused(name: str) -> None:
    with pytest.raises(HwnasError, match=r"search\.strategy: .* needs"):
        OneShot(context(), strategy={"name": name})


def test_a_space_without_a_supernet_is_refused() -> None:
    with pytest.raises(HwnasError, match="'depth'"):
        OneShot(context(space=TINY))


@pytest.mark.parametrize(("option", "value"), [("steps", 0), ("rate", 1.5), ("rate", -0.1)])
def test_mistakes(option: str, value: Any) -> None:
    with pytest.raises(HwnasError, match=rf"search\.{option}: must be"):
        OneShot(context(), **{option: value})
