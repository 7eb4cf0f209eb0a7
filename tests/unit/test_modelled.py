"""What model-based strategies share, with a model that knows the truth but is not sure of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

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
    TensorType,
)
from hwnas.core.pareto import hypervolume
from hwnas.search._guess import Predict
from hwnas.search._improvement import Improvement
from hwnas.search._modelled import Modelled
from hwnas.space.chain import Chain
from hwnas.space.moves import every, sample
from hwnas.testing import FakeEstimator, FakeTask
from hwnas.testing.strategy import Case, check_failures, check_snapshot

SPACE = Chain(TensorType((1, 1, 1)), 3, depth=[1, 2], filters=[4, 8], kernels=[1], dense=[0])
ALL = list(every(SPACE))
FAKE = FakeEstimator(Setting(SPACE, FakeTask()))
ERROR, LATENCY = Metric("error"), Metric("latency")
FLOPS, PARAMS = Metric("flops", cheap=True), Metric("params", cheap=True)


def value(architecture: Architecture, metric: str) -> float:
    return FAKE.value(architecture, metric) + 0.1


class Knows(Modelled):
    """Predicts what is true, as it is to be modelled, with a deviation."""

    paper = "none"
    deviation = 0.0

    def __init__(self, context: Context, *, startup: int = 3, candidates: int = 400) -> None:
        super().__init__(context, startup, candidates)
        self.fits: list[np.ndarray] = []

    def _fit(
        self, architectures: Sequence[Architecture], values: np.ndarray, rng: np.random.Generator
    ) -> Predict:
        self.fits.append(values)
        expensive = [o for o in self.context.objectives if not o.metric.cheap]

        def predict(at: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
            true = np.array([[o.sign * value(a, o.name) for o in expensive] for a in at])
            true = np.where(true > 0, np.log(np.abs(true)), true).reshape(len(at), -1)
            return true, np.full_like(true, self.deviation)

        return predict


class Noisy(Knows):
    """Has two opinions of what is true, neither of which is what was told."""

    noisy = True

    def _fit(self, *args: Any) -> Predict:
        predict = super()._fit(*args)

        def twice(at: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
            mean, deviation = predict(at)
            return np.stack([mean + 0.1, mean - 0.3]), deviation

        return twice


def context(
    *metrics: Metric, limit: Mapping[str, float] | None = None, evaluations: int = 1000
) -> Context:
    cheap = [m.name for m in metrics if m.cheap]

    def costs(architecture: Architecture) -> Mapping[str, float]:
        if not cheap:
            raise HwnasError("nothing is cheap.")
        return {name: value(architecture, name) for name in cheap}

    return Context(
        SPACE,
        Objectives([Objective(m, (limit or {}).get(m.name)) for m in metrics]),
        np.random.default_rng(1),
        evaluations=evaluations,
        costs=costs,
    )


def outcome(strategy: Modelled, proposal: Proposal) -> Outcome:
    metrics = {o.name: value(proposal.architecture, o.name) for o in strategy.context.objectives}
    return Outcome(proposal, metrics)


def begun(strategy: Modelled, count: int = 4) -> list[Architecture]:
    """Those told at the beginning."""
    told = []
    for _ in range(count):
        (proposal,) = strategy.ask(1)
        strategy.tell([outcome(strategy, proposal)])
        told.append(proposal.architecture)
    return told


def values(strategy: Modelled, architectures: Sequence[Architecture]) -> np.ndarray:
    objectives = strategy.context.objectives
    rows = [[o.sign * value(a, o.name) for o in objectives] for a in architectures]
    return np.array(rows).reshape(len(rows), len(objectives))


def gains(strategy: Modelled, told: Sequence[Architecture]) -> dict[Architecture, float]:
    """What those not asked for would add to the hypervolume, by pymoo."""
    known = values(strategy, told)
    first = values(strategy, told[: len(strategy._told)])
    reference = first.min(axis=0) + 1.1 * np.ptp(first, axis=0)
    before = hypervolume(known, reference)
    new = [a for a in ALL if a not in told]
    return {
        a: hypervolume(np.vstack([known, values(strategy, [a])]), reference) - before for a in new
    }


COMBINATIONS = [
    (ERROR,),
    (ERROR, FLOPS),
    (FLOPS, ERROR, PARAMS),
    (ERROR, LATENCY),
    (ERROR, LATENCY, Metric("energy", goal="max")),
    (FLOPS, PARAMS),
]


@pytest.mark.parametrize("metrics", COMBINATIONS, ids=lambda m: "+".join(x.name for x in m))
def test_the_largest_improvement_of_all_is_asked_for(metrics: tuple[Metric, ...]) -> None:
    strategy = Knows(context(*metrics))
    told = begun(strategy)
    for _ in range(3):
        expected = gains(strategy, told)
        (proposal,) = strategy.ask(1)
        assert expected[proposal.architecture] == pytest.approx(max(expected.values()), abs=1e-12)
        strategy.tell([outcome(strategy, proposal)])
        told.append(proposal.architecture)
    expensive = [not m.cheap for m in metrics]
    assert bool(strategy.fits) == any(expensive)
    if strategy.fits:
        true = values(strategy, told[: len(strategy.fits[-1])])[:, expensive]
        goals = [m.goal == "min" for m in metrics if not m.cheap]
        assert strategy.fits[-1] == pytest.approx(np.where(goals, np.log(abs(true)), true))


def test_the_first_are_random_and_different() -> None:
    strategy = Knows(context(ERROR), startup=12)
    asked = [p.architecture for p in strategy.ask(12)]
    assert len(set(asked)) == 12
    assert not strategy.fits


@pytest.mark.parametrize("at_once", [True, False])
def test_those_in_work_count_as_told(at_once: bool) -> None:
    strategy = Knows(context(ERROR, FLOPS))
    told = begun(strategy)
    asked = strategy.ask(4) if at_once else [strategy.ask(1)[0] for _ in range(4)]
    assert len(strategy.fits) == 2  # after 3 and 4: of what is told only
    for proposal in asked:
        expected = gains(strategy, told)
        assert expected[proposal.architecture] == pytest.approx(max(expected.values()), abs=1e-12)
        told.append(proposal.architecture)


def test_of_one_objective_it_is_the_expected_improvement() -> None:
    strategy = Knows(context(replace(ERROR, goal="max")))  # negative values are not logarithmic
    strategy.deviation = 0.2
    told = begun(strategy)
    new = [a for a in ALL if a not in told]
    best = values(strategy, told).min()
    z = (best - values(strategy, new)[:, 0]) / 0.2
    expected = 0.2 * (z * norm.cdf(z) + norm.pdf(z))
    assert strategy._acquisition([])(new) == pytest.approx(expected)
    assert strategy.ask(1)[0].point == new[int(expected.argmax())]


def test_a_limit_that_is_known_beforehand_is_passed_last() -> None:
    limit = float(np.median([value(a, "flops") for a in ALL]))
    strategy = Knows(context(ERROR, FLOPS, limit={"flops": limit}), startup=1)
    order = begun(strategy, len(ALL))[2:]
    over = [value(a, "flops") > limit for a in order]
    assert over == sorted(over)
    passed = [value(a, "flops") for a in order if value(a, "flops") > limit]
    assert passed == sorted(passed)  # the least first


def test_a_limit_of_what_is_learned_is_kept_with_a_probability() -> None:
    free = Knows(context(ERROR, FLOPS))
    bound = Knows(context(ERROR, FLOPS, limit={"error": 0.6}))
    for strategy in (free, bound):
        strategy.deviation = 0.3
        begun(strategy)
    bound._told = free._told  # the same front: nothing of it breaks the limit in either
    true = np.log([value(a, "error") for a in ALL])
    expected = free._acquisition([])(ALL) * norm.cdf((np.log(0.6) - true) / 0.3)
    assert bound._acquisition([])(ALL) == pytest.approx(expected)


def test_what_breaks_a_limit_is_not_on_the_front() -> None:
    errors = sorted(value(a, "error") for a in ALL)
    strategy = Knows(context(ERROR, FLOPS, limit={"error": errors[len(ALL) // 2]}))
    begun(strategy, 7)
    kept = [t for t in strategy._told if t.violation == 0]
    assert 0 < len(kept) < 7
    all_values = np.array([t.values for t in strategy._told])
    reference = all_values.min(axis=0) + 1.1 * np.ptp(all_values, axis=0)
    front = np.array([t.values for t in kept])
    possible = [a for a in ALL if value(a, "error") < errors[len(ALL) // 2]]
    for architecture, got in zip(possible, strategy._acquisition([])(possible), strict=True):
        new = np.vstack([front, values(strategy, [architecture])])
        expected = hypervolume(new, reference) - hypervolume(front, reference)
        assert got == pytest.approx(expected, abs=1e-12)


def test_where_told_values_are_not_the_truth_it_is_the_mean_over_what_may_be() -> None:
    strategy = Noisy(context(FLOPS, ERROR))
    strategy.deviation = 0.1
    told = begun(strategy)
    first = values(strategy, told)
    reference = first.min(axis=0) + 1.1 * np.ptp(first, axis=0)
    expected = []
    for shift in (0.1, -0.3):
        front = first * [1, np.exp(shift)]
        mean = values(strategy, ALL)
        mean[:, 1] = np.log(mean[:, 1]) + shift
        improvement = Improvement(front, reference)
        expected.append(improvement(mean, np.array([0, 0.1]) * np.ones_like(mean), [False, True]))
    assert strategy._acquisition([])(ALL) == pytest.approx(np.mean(expected, axis=0))


def test_what_fails_is_neither_learned_nor_asked_for_again() -> None:
    strategy = Knows(context(ERROR, FLOPS), startup=5)
    asked = []
    while not strategy.done:
        for proposal in strategy.ask(1):
            asked.append(proposal.architecture)
            failed = Outcome(proposal, failed="no")
            strategy.tell([failed if len(asked) % 2 else outcome(strategy, proposal)])
    assert len(asked) == len(set(asked)) == len(ALL)
    assert len(strategy._told) == len(ALL) // 2


def test_what_has_no_costs_comes_last() -> None:
    broken = set(ALL[::2])

    def costs(architecture: Architecture) -> Mapping[str, float]:
        if architecture in broken:
            raise HwnasError("cannot be measured.")
        return {"flops": value(architecture, "flops")}

    strategy = Knows(replace(context(ERROR, FLOPS), costs=costs), startup=1)
    order = begun(strategy, len(ALL))[2:]
    last = [a in broken for a in order]
    assert last == sorted(last)


def test_a_small_space_is_exhausted() -> None:
    strategy = Knows(context(ERROR, FLOPS))
    asked: list[Architecture] = []
    while not strategy.done:
        new = strategy.ask(3)
        asked += [p.architecture for p in new]
        strategy.tell([outcome(strategy, p) for p in new])
    assert len(asked) == len(ALL)
    assert set(asked) == set(ALL)
    assert strategy.ask(1) == []


@pytest.mark.parametrize("check", [check_snapshot, check_failures])
def test_the_contract(check: Any) -> None:
    check(Case(Noisy, {"candidates": 4}, Chain(TensorType((1, 4, 4)), 3, depth=[1, 2, 3])))


@pytest.mark.parametrize("key", ["startup", "candidates"])
def test_mistakes(key: str) -> None:
    with pytest.raises(HwnasError, match=rf"search\.{key}"):
        Knows(context(ERROR), **{key: 0})


def test_candidates_are_new() -> None:
    strategy = Knows(context(ERROR, FLOPS), candidates=20)
    told = begun(strategy)
    found = strategy._candidate.fresh(
        lambda: sample(SPACE, np.random.default_rng()), 15, set(ALL[:5])
    )
    assert not {*told, *ALL[:5]} & set(found)
    assert len(found) == len(set(found))
