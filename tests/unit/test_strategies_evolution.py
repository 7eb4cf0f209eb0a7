"""Aging evolution and NSGA-II do what their papers say."""

from typing import Any

import numpy as np
import pytest

from hwnas.core import (
    Architecture,
    HwnasError,
    Outcome,
)
from hwnas.core.strategy import Strategy
from hwnas.search.evolution.aging import Aging
from hwnas.search.evolution.nsga2 import Nsga2
from hwnas.search.random import Random
from hwnas.testing.play import Play
from tests.property import brute
from tests.unit.searching import TINY, context, distance, volume


def members(strategy: Strategy) -> list[Architecture]:
    own = strategy.state_dict()["own"]["population"]
    return [Architecture.from_json(a) for _, a, _ in own]


def grown(population: int, sample: int, errors: list[float]) -> Aging:
    """An aging strategy whose population was told these errors."""
    strategy = Aging(context(), population=population, sample=sample)
    for error in errors:
        (proposal,) = strategy.ask(1)
        strategy.tell([Outcome(proposal, {"error": error})])
    return strategy


def test_the_oldest_dies_even_if_it_is_the_best() -> None:
    strategy = grown(5, 2, [0.0, 0.5, 0.6, 0.7, 0.8])
    before = members(strategy)
    (child,) = strategy.ask(1)
    strategy.tell([Outcome(child, {"error": 0.9})])
    assert members(strategy) == [*before[1:], child.point]


def test_a_failed_child_takes_nobodys_place() -> None:
    strategy = grown(5, 2, [0.1, 0.5, 0.6, 0.7, 0.8])
    before = members(strategy)
    (child,) = strategy.ask(1)
    strategy.tell([Outcome(child, failed="no")])
    assert members(strategy) == before


def test_a_child_is_one_mutation_of_the_tournaments_winner() -> None:
    """The best is the parent if it is drawn at all: 1 - (1 - 1/P)^S of the time."""
    population, sample, asked = 12, 8, 600
    errors = np.random.default_rng(1).permutation(population).astype(float)
    strategy = grown(population, sample, errors.tolist())
    ranked = [m for _, m in sorted(zip(errors, members(strategy), strict=True), key=lambda p: p[0])]
    parents = []
    for proposal in strategy.ask(asked):
        near = [rank for rank, m in enumerate(ranked) if distance(m, proposal.point) == 1]
        assert near, "a child is no mutant of any member"
        parents.append(near[0])
    wins = 1 - (1 - (np.arange(population) + 1) / population) ** sample  # rank r or better
    for rank in (0, 1, 3):
        share = np.mean([p <= rank for p in parents])
        spread = np.sqrt(wins[rank] * (1 - wins[rank]) / asked)
        assert abs(share - wins[rank]) < 5 * spread + 0.02


def test_with_limits_the_feasible_win() -> None:
    strategy = Aging(context(limit=0.3), population=4, sample=4)
    for error in (0.9, 0.29, 0.9, 0.9):
        (proposal,) = strategy.ask(1)
        strategy.tell([Outcome(proposal, {"error": error})])
    feasible = members(strategy)[1]
    near = [distance(feasible, p.point) == 1 for p in strategy.ask(200)]
    assert np.mean(near) > 0.6  # drawn by a tournament of 4 of 4 in 68 % of the cases


@pytest.mark.parametrize(("population", "sample"), [(4, 5), (4, 0), (0, 0)])
def test_mistakes_in_aging(population: int, sample: int) -> None:
    with pytest.raises(HwnasError, match=r"search\.sample"):
        Aging(context(), population=population, sample=sample)


def told(state: list[list[Any]]) -> np.ndarray:
    """Values of members, shape ``[n, n_objectives]``; the fakes' are to be minimised."""
    return np.array([list(metrics.values()) for *_, metrics in state])


def generations(strategy: Nsga2, count: int) -> list[tuple[np.ndarray, np.ndarray, list[str]]]:
    """After each generation: population and children's values and keys, before selection."""
    seen = []
    play = Play(strategy)
    for g in range(1, count + 1):
        play.run(g * 8)
        own = strategy.state_dict()["own"]
        pool = [*own["population"], *own["told"]]
        keys = [Architecture.from_json(a).key for _, a, _ in pool]
        values = told(pool)
        play.run(g * 8 + 1)  # the first of the next generation: now they are selected
        after = strategy.state_dict()["own"]["population"]
        seen.append((values, told(after), keys))
    return seen


@pytest.mark.parametrize("objectives", [2, 3])
def test_nsga2_keeps_the_best_fronts(objectives: int) -> None:
    strategy = Nsga2(context(400, objectives), population=8)
    for pool, survivors, keys in generations(strategy, 12):
        assert len(set(keys)) == len(keys), "a child repeats a member"
        assert len(survivors) == 8
        rank = {tuple(pool[i]): r for r, f in enumerate(brute.fronts(pool)) for i in f}
        kept = sorted(rank[tuple(v)] for v in survivors)
        assert kept == sorted(rank.values())[:8] or len(rank) < len(pool)
        # Elitism: the extreme points of the first front are the least crowded, so they stay.
        np.testing.assert_array_equal(survivors.min(axis=0), pool.min(axis=0))


def test_nsga2_ranks_feasible_members_first() -> None:
    strategy = Nsga2(context(400, 2, limit=0.45), population=8)
    Play(strategy).run(81)
    own = strategy.state_dict()["own"]["population"]
    violations = [metrics["error"] - 0.45 for *_, metrics in own]
    pool = Play(Nsga2(context(400, 2, limit=0.45), population=8)).run(80)
    feasible = {o.proposal.point for o in pool if o.metrics["error"] <= 0.45}
    assert sum(v <= 0 for v in violations) == min(8, len(feasible))


@pytest.mark.parametrize("cls", [Nsga2, Aging])
def test_better_than_random_on_a_toy(cls: type[Strategy]) -> None:
    """The fake landscape has structure; five seeds, each with the same budget."""
    sized = {"population": 16} | ({"sample": 6} if cls is Aging else {})
    ours = [volume(cls(context(120, 2, seed), **sized)) for seed in range(5)]
    theirs = [volume(Random(context(120, 2, seed))) for seed in range(5)]
    assert np.mean(ours) > np.mean(theirs)
    assert sum(a > b for a, b in zip(ours, theirs, strict=True)) >= 4


def test_nsga2_goes_on_when_it_knows_the_whole_space() -> None:
    outcomes = Play(Nsga2(context(60, 2, space=TINY), population=8)).run()
    assert len(outcomes) == 60
    assert len({o.proposal.point for o in outcomes}) == 6


def test_mistakes_in_nsga2() -> None:
    with pytest.raises(HwnasError, match=r"search\.population"):
        Nsga2(context(), population=1)


@pytest.mark.parametrize(("crossover", "mutation"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_nsga2_with_one_operator_only(crossover: float, mutation: float) -> None:
    strategy = Nsga2(context(40, 2), population=6, crossover=crossover, mutation=mutation)
    assert len(Play(strategy).run()) == 40
