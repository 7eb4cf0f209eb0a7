"""The genetic algorithm, large-scale and hierarchical evolution do what their papers say."""

from collections import Counter
from collections.abc import Mapping
from math import comb
from typing import Any

import numpy as np
import pytest

from hwnas.core import (
    Architecture,
    HwnasError,
    Outcome,
    Proposal,
    TensorType,
)
from hwnas.core.strategy import Strategy
from hwnas.search.evolution.genetic import Genetic
from hwnas.search.evolution.hierarchical import Hierarchical
from hwnas.search.evolution.large_scale import LargeScale
from hwnas.search.random import Random
from hwnas.space.chain import Chain
from hwnas.space.mobile import Mobile
from hwnas.space.moves import choices, sample
from hwnas.testing.play import Play
from tests.unit.searching import CELL, TINY, context, distance, volume

ALL: list[type[Strategy]] = [Genetic, LargeScale, Hierarchical]


def tell(strategy: Strategy, *metrics: Mapping[str, float] | float | None) -> list[Proposal]:
    """Ask for one after another and tell it this; None fails."""
    proposals = []
    for m in metrics:
        (proposal,) = strategy.ask(1)
        strategy.tell([outcome(proposal, m)])
        proposals.append(proposal)
    return proposals


def outcome(proposal: Proposal, metrics: Mapping[str, float] | float | None) -> Outcome:
    if metrics is None:
        return Outcome(proposal, failed="no")
    return Outcome(proposal, metrics if isinstance(metrics, Mapping) else {"error": metrics})


def near(share: float, expected: float, n: int) -> bool:
    return abs(share - expected) <= 5 * np.sqrt(expected * (1 - expected) / n)


@pytest.mark.parametrize("cls", ALL)
def test_nothing_is_trained_twice(cls: type[Strategy]) -> None:
    outcomes = Play(cls(context(150, 2), population=10), 3, np.random.default_rng(0)).run()
    assert len({o.proposal.point for o in outcomes}) == len(outcomes) == 150


@pytest.mark.parametrize("cls", [Genetic, Hierarchical])
@pytest.mark.parametrize("metrics", [0.5, None])
def test_the_search_ends_when_the_space_is_known(cls: Any, metrics: float | None) -> None:
    strategy = cls(context(60, space=TINY), population=4)
    asked = []
    while not strategy.done:
        new = strategy.ask(3)
        strategy.tell([outcome(p, metrics) for p in new])
        asked += [p.point for p in new]
    assert len(asked) == len(set(asked)) == 6


@pytest.mark.parametrize("cls", ALL)
def test_better_than_random_on_a_toy(cls: type[Strategy]) -> None:
    ours = [volume(cls(context(100, 2, seed))) for seed in range(5)]
    theirs = [volume(Random(context(100, 2, seed))) for seed in range(5)]
    assert np.mean(ours) > np.mean(theirs)
    assert sum(a > b for a, b in zip(ours, theirs, strict=True)) >= 4


@pytest.mark.parametrize(
    ("cls", "key", "value"),
    [
        (Genetic, "population", 1),
        (Genetic, "crossover", 1.1),
        (Genetic, "exchange", -0.1),
        (Genetic, "mutation", 2.0),
        (Genetic, "flip", -1.0),
        (LargeScale, "population", 1),
        (Hierarchical, "population", 0),
        (Hierarchical, "share", 0.0),
        (Hierarchical, "share", 1.5),
    ],
)
def test_mistakes(cls: Any, key: str, value: float) -> None:
    with pytest.raises(HwnasError, match=rf"search\.{key}"):
        cls(context(), **{key: value})


# The genetic algorithm


def roulette(strategy: Genetic, *metrics: Mapping[str, float] | float) -> list[float]:
    """The share of each of those told in the next generation."""
    first = [p.point for p in tell(strategy, *metrics)]
    count = Counter(strategy._select([a for a in first if isinstance(a, Architecture)]))
    return [count[a] / strategy._size for a in first]  # type: ignore[index]


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([0.1, 0.3, 0.2, 0.5, 0.5], [4 / 9, 2 / 9, 3 / 9, 0, 0]),
        ([0.2, 0.2, 0.2, 0.2], [1 / 4] * 4),
        ([0.7], [1.0]),
    ],
)
def test_the_roulette_is_proportional_to_fitness_less_the_worst(
    errors: list[float], expected: list[float]
) -> None:
    shares = roulette(Genetic(context(), population=4000), *errors)
    assert all(near(s, e, 4000) for s, e in zip(shares, expected, strict=True))


def test_with_several_objectives_the_roulette_is_by_front() -> None:
    strategy = Genetic(context(objectives=2, limit=0.9), population=4000)
    shares = roulette(
        strategy,
        {"error": 0.3, "flops": 0.3},
        {"error": 0.91, "flops": 0.0},  # infeasible
        {"error": 0.1, "flops": 0.2},
        {"error": 0.4, "flops": 0.3},
    )
    assert all(near(s, e, 4000) for s, e in zip(shares, [2 / 6, 0, 3 / 6, 1 / 6], strict=True))


def test_limits_come_before_fitness() -> None:
    strategy = Genetic(context(limit=0.5), population=4000)
    goals = strategy.context.objectives
    assert goals.violation({"error": 0.8}) > 0
    assert near(roulette(strategy, 0.8, 0.5, 0.4)[0], 0, 4000)


def test_crossover_exchanges_whole_stages() -> None:
    space = Mobile(TensorType((3, 32, 32)), 10)
    strategy = Genetic(context(space=space), exchange=0.2)
    rng = np.random.default_rng(3)
    swaps = stages = 0
    for _ in range(100):
        mother, father = sample(space, rng), sample(space, rng)
        one, other = strategy._cross(mother, father)
        by_stage: dict[str, set[bool]] = {}
        for name in mother:
            assert {one[name], other[name]} == {mother[name], father[name]}
            if mother[name] != father[name]:
                by_stage.setdefault(name.split("/")[0], set()).add(one[name] == father[name])
        assert all(len(swapped) == 1 for swapped in by_stage.values())
        swaps += sum(swapped == {True} for swapped in by_stage.values())
        stages += len(by_stage)
    assert near(swaps / stages, 0.2, stages)


def test_crossover_of_different_depths_gives_networks_of_the_space() -> None:
    space = Chain(TensorType((3, 16, 16)), 3)
    strategy = Genetic(context(space=space))
    rng = np.random.default_rng(3)
    for _ in range(50):
        for child in strategy._cross(sample(space, rng), sample(space, rng)):
            assert [c.name for c in choices(space, child)] == list(child)


def test_mutation_changes_each_choice_with_its_probability() -> None:
    strategy = Genetic(context(), flip=0.3)
    rng = np.random.default_rng(4)
    parents = [sample(CELL, rng) for _ in range(2000)]
    changed = [distance(p, strategy._mutate(p)) for p in parents]
    for k in range(4):  # binomial: they are independent
        expected = comb(6, k) * 0.3**k * 0.7 ** (6 - k)
        assert near(changed.count(k) / len(changed), expected, len(changed))


def test_only_who_was_not_crossed_is_mutated() -> None:
    crossed = Genetic(context(), population=10, crossover=1.0, exchange=0.0, mutation=1.0, flip=1.0)
    before = {p.point for p in tell(crossed, *np.linspace(0, 1, 10).tolist())}
    assert set(crossed._next()) <= before
    mutated = Genetic(context(), population=2, crossover=0.0, mutation=1.0, flip=1.0)
    best = tell(mutated, 0.1, 0.9)[0].point
    assert [distance(best, a) for a in mutated._next()] == [6, 6]  # the worst is never drawn


def test_a_generation_waits_for_the_one_before() -> None:
    strategy = Genetic(context(), population=6)
    first = strategy.ask(100)
    assert len(first) == 6
    strategy.tell([outcome(p, p.id / 10) for p in first[1:]])
    assert strategy.ask(1) == []
    strategy.tell([outcome(first[0], None)])
    strategy.ask(1)
    generation = [Architecture.from_json(a) for a in strategy.state_dict()["own"]["generation"]]
    assert len(generation) == 6
    assert first[0].point not in generation  # it failed


# Large-scale evolution


def alive(strategy: LargeScale) -> list[int]:
    return [m[0] for m in strategy.state_dict()["own"]["population"]]


def test_the_worse_of_a_random_pair_dies_and_the_better_has_a_child() -> None:
    """P(parent is of rank r) = 2 (n - 1 - r) / (n (n - 1)), and as many lose from the other end."""
    size, times = 6, 600
    strategy = LargeScale(context(), population=size)
    errors = [0.4, 0.1, 0.6, 0.2, 0.5, 0.3]
    first = tell(strategy, *errors)
    state = strategy.state_dict()
    parents, losers = Counter[float](), Counter[float]()
    for seed in range(times):
        strategy = LargeScale(context(), population=size)
        strategy.load_state_dict(state)
        strategy.context.rng = np.random.default_rng(seed)
        (child,) = strategy.ask(1)
        (loser,) = set(range(size)) - set(alive(strategy))
        assert child.parent is not None
        assert errors[child.parent] < errors[loser]
        assert distance(first[child.parent].point, child.point) == 1
        parents[errors[child.parent]] += 1
        losers[errors[loser]] += 1
    for rank, error in enumerate(sorted(errors)):
        expected = 2 * (size - 1 - rank) / (size * (size - 1))
        assert near(parents[error] / times, expected, times)
        assert near(losers[error] / times, 2 * rank / (size * (size - 1)), times)


def test_a_pair_is_judged_by_fronts_and_limits() -> None:
    better = {"error": 0.5, "flops": 0.9}
    for worse in ({"error": 0.6, "flops": 0.95}, {"error": 0.91, "flops": 0.1}):
        strategy = LargeScale(context(objectives=2, limit=0.9), population=2)
        first = tell(strategy, worse, better)
        (child,) = strategy.ask(1)
        assert child.parent == first[1].id
        assert alive(strategy) == [first[1].id]


def test_the_population_keeps_its_size() -> None:
    strategy = LargeScale(context(), population=7)
    tell(strategy, *[0.1 * i for i in range(7)])
    children = strategy.ask(20)
    assert len(children) == 6  # a pair needs two
    assert len(alive(strategy)) == 1
    assert strategy.ask(1) == []
    before = alive(strategy)
    strategy.tell([outcome(p, 0.05) for p in children])
    assert alive(strategy) == [*before, *[p.id for p in children]]


def test_a_failed_child_takes_nobodys_place() -> None:
    strategy = LargeScale(context(), population=5)
    first = tell(strategy, 0.1, 0.2, None, 0.3, 0.4, 0.5)
    assert sorted(alive(strategy)) == [p.id for p in first if p.id != 2]  # who failed was replaced
    tell(strategy, None, None, None)
    assert sorted(alive(strategy)) == [p.id for p in first if p.id != 2]


def test_children_begin_from_the_weights_of_their_parent() -> None:
    assert LargeScale.needs == {"parent", "inherit"}
    outcomes = Play(LargeScale(context(80), population=10), 4, np.random.default_rng(0)).run()
    points = {o.proposal.id: o.proposal.point for o in outcomes}
    parents = [o.proposal.parent for o in outcomes]
    assert parents.count(None) == 10
    steps = [
        distance(points[o.proposal.parent], o.proposal.point)
        for o in outcomes
        if o.proposal.parent is not None
    ]
    assert np.mean([s == 1 for s in steps]) > 0.8  # more only where the mutant was known


def test_large_scale_goes_on_when_it_knows_the_whole_space() -> None:
    assert len(Play(LargeScale(context(60, space=TINY), population=4)).run()) == 60


# Hierarchical evolution


def test_nobody_is_removed_and_children_are_mutants() -> None:
    strategy = Hierarchical(context(60), population=10)
    outcomes = Play(strategy).run()
    population = [
        Architecture.from_json(a) for _, a, _ in strategy.state_dict()["own"]["population"]
    ]
    assert population == [o.proposal.point for o in outcomes]
    for i in range(10, 60):
        assert min(distance(a, population[i]) for a in population[:i]) == 1


@pytest.mark.parametrize(("share", "size"), [(0.05, 2), (0.24, 5), (0.5, 10), (1.0, 20)])
def test_a_tournament_is_a_share_of_the_population(share: float, size: int) -> None:
    """Of n the r-th best wins if it is drawn and nobody better is: without replacement."""
    n, times = 20, 1500
    strategy = Hierarchical(context(), population=n, share=share)
    errors = np.random.default_rng(1).permutation(n).astype(float)
    first = [p.point for p in tell(strategy, *errors.tolist())]
    count = Counter(strategy._winner() for _ in range(times))
    for rank in range(n):
        winner = first[int(np.flatnonzero(errors == rank)[0])]
        assert isinstance(winner, Architecture)
        assert near(count[winner] / times, comb(n - 1 - rank, size - 1) / comb(n, size), times)


def test_tournaments_grow_with_the_population() -> None:
    strategy = Hierarchical(context(), population=4, share=0.5)
    tell(strategy, *np.linspace(1, 0, 40).tolist())
    best = Architecture.from_json(strategy.state_dict()["own"]["population"][-1][1])
    assert near(np.mean([strategy._winner() == best for _ in range(400)]), 0.5, 400)


def test_the_first_that_fail_are_replaced() -> None:
    strategy = Hierarchical(context(), population=3)
    first = tell(strategy, None, None, 0.5, 0.6, 0.7)
    assert len({p.point for p in first}) == 5
    assert len(strategy.state_dict()["own"]["population"]) == 3
