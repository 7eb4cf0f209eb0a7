"""NSGA-II, NSGA-III, SMS-EMOA and MOEA/D select as their papers say."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from hwnas.core import (
    Context,
    HwnasError,
    Metric,
    Objective,
    Objectives,
    Outcome,
)
from hwnas.core.architecture import Architecture
from hwnas.core.state import dumps, loads
from hwnas.core.strategy import Strategy
from hwnas.search._directions import directions
from hwnas.search._told import Told
from hwnas.search.evolution._population import Evolving
from hwnas.search.evolution.moead import Moead
from hwnas.search.evolution.nsga2 import Nsga2
from hwnas.search.evolution.nsga3 import Nsga3
from hwnas.search.evolution.sms_emoa import SmsEmoa, contributions
from hwnas.search.random import Random
from hwnas.space import moves
from hwnas.testing.play import Play
from tests.property import brute
from tests.unit import searching
from tests.unit.searching import CELL, TINY, volume

ALL = [Nsga2, Nsga3, SmsEmoa, Moead]
STEADY = [SmsEmoa, Moead]


context = partial(searching.context, objectives=2)


def free(objectives: int, limit: float | None = None) -> Context:
    """A problem whose values the test makes up; ``limit`` is one of the first objective."""
    goals = [Objective(Metric(f"f{k}"), limit if k == 0 else None) for k in range(objectives)]
    return Context(CELL, Objectives(goals), np.random.default_rng(0), evaluations=10_000)


def pool(values: np.ndarray, violation: np.ndarray | None = None) -> list[Told]:
    rng = np.random.default_rng(0)
    limits = np.zeros(len(values)) if violation is None else violation
    return [
        Told(i, moves.sample(CELL, rng), {}, v, float(g))
        for i, (v, g) in enumerate(zip(values, limits, strict=True))
    ]


def rows(kept: list[Told], members: list[Told]) -> list[int]:
    return sorted(next(i for i, m in enumerate(members) if m is k) for k in kept)


def tell(strategy: Strategy, values: Any) -> Architecture:
    """Ask for one, and tell it these values."""
    (proposal,) = strategy.ask(1)
    metrics = {o.name: float(v) for o, v in zip(strategy.context.objectives, values, strict=True)}
    strategy.tell([Outcome(proposal, metrics)])
    assert isinstance(proposal.point, Architecture)
    return proposal.point


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_nsga2_fills_up_by_front_and_crowding(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    for _ in range(10):
        members = pool(rng.random((20, objectives)))
        values = np.array([m.values for m in members])
        strategy = Nsga2(free(objectives), population=10)
        kept = rows(strategy._survivors(members), members)
        expected: list[int] = []
        for front in brute.fronts(values):
            crowding = brute.crowding(values[front])
            ranked = [front[i] for i in np.argsort(-crowding, kind="stable")]
            if len(expected) + len(front) > 10 and np.isinf(crowding).sum() > 10 - len(expected):
                return  # which of several extreme points stay is drawn
            expected += ranked[: 10 - len(expected)]
        assert kept == sorted(expected)


def test_nsga2_tournament_is_won_by_the_crowded_comparison() -> None:
    """The order of survivors is that comparison; of two drawn with replacement the first wins."""
    strategy = Nsga2(free(2), population=4)
    members = pool(np.array([[0.0, 3.0], [3.0, 0.0], [1.0, 1.0], [4.0, 4.0]]))
    ranked = strategy._survivors(members)
    assert ranked[2:] == members[2:]
    wins = [rows([strategy._parent(ranked)], ranked)[0] for _ in range(4000)]
    shares = np.bincount(wins, minlength=4) / 4000
    np.testing.assert_allclose(shares, [7 / 16, 5 / 16, 3 / 16, 1 / 16], atol=0.03)


@pytest.mark.parametrize("cls", [Nsga2, Nsga3])
def test_a_feasible_member_survives_before_any_other(cls: type[Any]) -> None:
    rng = np.random.default_rng(0)
    violation = np.array([0.0, 0.4, 0.1, 0.0, 0.2, 0.0, 0.3, 0.9])
    values = rng.random((8, 2)) + 2 * (violation == 0)[:, None]  # the infeasible are all better
    members = pool(values, violation)
    strategy = cls(free(2), population=5)
    assert rows(strategy._survivors(members), members) == [0, 2, 3, 4, 5]


@pytest.mark.parametrize("cls", [Nsga2, Nsga3])
def test_a_generation_waits_for_its_last_member(cls: type[Any]) -> None:
    strategy = cls(free(2), population=4)
    asked = strategy.ask(9)
    assert len(asked) == 4
    for proposal in asked:
        assert strategy.ask(1) == []
        strategy.tell([Outcome(proposal, {"f0": 1.0, "f1": 1.0})])
    assert len(strategy.ask(9)) == 4


@pytest.mark.parametrize(
    ("objectives", "most", "count"), [(1, 9, 1), (2, 20, 20), (3, 20, 15), (5, 20, 20), (3, 4, 4)]
)
def test_directions_cover_the_simplex(objectives: int, most: int, count: int) -> None:
    found = directions(objectives, most)
    assert found.shape == (count, objectives)
    assert len(np.unique(found.round(9), axis=0)) == count
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (found.max(axis=0) == 1.0).all(), "a corner is missing"


@pytest.mark.parametrize("scale", [[1.0, 1.0, 1.0], [1e-5, 1.0, 1e6]])
def test_nsga3_keeps_the_nearest_to_each_direction(scale: list[float]) -> None:
    """All lie on the plane between the corners; those on a direction stay, whatever the units."""
    on = directions(3, 15)
    rng = np.random.default_rng(0)
    beside = rng.dirichlet(np.ones(3), 15) * 0.98 + 0.02 / 3
    members = pool(np.vstack([beside, on]) * scale)
    strategy = Nsga3(free(3), population=15)
    assert rows(strategy._survivors(members), members) == list(range(15, 30))


def test_nsga3_fills_up_from_the_niche_that_has_nobody() -> None:
    first = np.array([[0.0, 1.0], [1 / 3, 2 / 3], [1.0, 0.0]])  # no one at (2/3, 1/3)
    second = 1.5 * directions(2, 4)
    members = pool(np.vstack([first, second]))
    strategy = Nsga3(free(2), population=4)
    (added,) = set(rows(strategy._survivors(members), members)) - {0, 1, 2}
    np.testing.assert_allclose(members[added].values, [1.0, 0.5])


def test_nsga3_with_one_objective_keeps_the_best() -> None:
    values = np.random.default_rng(0).random((12, 1))
    members = pool(values)
    kept = rows(Nsga3(free(1), population=5)._survivors(members), members)
    assert kept == sorted(np.argsort(values[:, 0])[:5].tolist())


@pytest.mark.parametrize("objectives", [2, 3])
def test_contributions_against_the_definition(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    for _ in range(5):
        values = rng.random((9, objectives))
        values = values[brute.fronts(values)[0]]
        reference = values.max(axis=0) + 1.0
        whole = brute.hypervolume(values, reference)
        got = contributions(values)
        for i in range(len(values)):
            if objectives == 2 and (values[i] == values.min(axis=0)).any():
                assert got[i] == np.inf
            else:
                lost = whole - brute.hypervolume(np.delete(values, i, axis=0), reference)
                assert got[i] == pytest.approx(lost)


def test_sms_emoa_drops_the_least_contribution_of_the_worst_front() -> None:
    strategy = SmsEmoa(free(2), population=5)
    line = [(0.0, 10.0), (10.0, 0.0), (2.0, 4.0), (4.0, 2.0), (3.9, 2.2)]
    points = {v: tell(strategy, v) for v in line}
    # Contributions: (2, 4) 1.9 x 6, (3.9, 2.2) 0.1 x 1.8, (4, 2) 6 x 0.2; the new one 1.8 x 1.
    points[2.1, 3.0] = tell(strategy, (2.1, 3.0))
    assert [m.architecture for m in strategy._population] == [
        points[v] for v in points if v != (3.9, 2.2)
    ]
    before = list(strategy._population)
    tell(strategy, (10.0, 10.0))  # dominated: alone on the worst front
    assert strategy._population == before


def test_sms_emoa_drops_the_worst_violation_first() -> None:
    strategy = SmsEmoa(free(2, limit=1.0), population=3)
    for value in (0.5, 3.0, 2.0, 0.9, 0.8, 5.0):
        tell(strategy, (value, 1.0 - value))
    assert sorted(m.values[0] for m in strategy._population) == [0.5, 0.8, 0.9]


def scalar(values: np.ndarray, weights: np.ndarray, name: str) -> float:
    if name == "weighted_sum":
        return float(weights @ values)
    if name == "tchebycheff":
        return float(max(weights * values))
    unit = weights / np.linalg.norm(weights)
    along = values @ unit
    return float(along + 5 * np.linalg.norm(values - along * unit))


@pytest.mark.parametrize("name", ["weighted_sum", "tchebycheff", "pbi"])
@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_moead_replaces_the_neighbours_that_a_child_beats(name: Any, objectives: int) -> None:
    strategy = Moead(free(objectives), population=12, neighbours=4, decomposition=name)
    even = np.ones((12, 1)) if objectives == 1 else directions(objectives, 12)
    size, weights = len(even), np.maximum(even, 1e-4)
    rng = np.random.default_rng(0)
    seen = []
    changes = 0
    for step in range(60):
        values = rng.random(objectives) * 10.0 ** np.arange(objectives)
        before = list(strategy._population)
        child = tell(strategy, values)
        seen.append(values)
        if step < size:
            continue
        task = step % size
        distance = np.linalg.norm(even - even[task], axis=1).round(9)
        near = np.lexsort((abs(np.arange(size) - task), distance))[:4]
        low = np.min(seen, axis=0)
        span = np.max([*[m.values for m in before], values], axis=0) - low
        for j, old in enumerate(before):
            wins = j in near and scalar((values - low) / span, weights[j], name) <= scalar(
                (old.values - low) / span, weights[j], name
            )
            assert (strategy._population[j].architecture == child) == wins
            assert wins or strategy._population[j] is old
            changes += wins
    assert changes > 10


def test_moead_mates_within_the_neighbourhood() -> None:
    strategy = Moead(free(2), population=12, neighbours=3, crossover=1.0, mutation=0.0)
    rng = np.random.default_rng(0)
    for _ in range(12):
        tell(strategy, rng.random(2))
    for task, proposal in enumerate(strategy.ask(12)):
        parents = [strategy._population[j].architecture for j in strategy._near[task]]
        assert task in strategy._near[task]
        for choice in proposal.point:
            assert proposal.point[choice] in {p[choice] for p in parents}


def test_moead_never_takes_an_infeasible_for_a_feasible() -> None:
    strategy = Moead(free(2, limit=1.0), population=6, neighbours=3)
    rng = np.random.default_rng(0)
    for _ in range(80):
        before = list(strategy._population)
        tell(strategy, (rng.random() * 4, -rng.random()))
        for old, new in zip(before, strategy._population, strict=False):
            assert new.violation <= old.violation
    assert all(m.violation == 0 for m in strategy._population)


@pytest.mark.parametrize("cls", STEADY)
def test_a_steady_state_asks_on_while_others_are_in_work(cls: type[Any]) -> None:
    strategy = cls(free(2), population=4)
    for k in range(4):
        tell(strategy, (k, -k))
    waiting = strategy.ask(7)
    assert len(waiting) == 7
    strategy.tell([Outcome(waiting[3], {"f0": -1.0, "f1": -9.0})])
    assert waiting[3].point in [m.architecture for m in strategy._population]
    assert len(strategy.ask(5)) == 5


@pytest.mark.parametrize("cls", ALL)
def test_nothing_is_evaluated_twice_even_after_a_snapshot(cls: type[Any]) -> None:
    """Nor are the dead, who are in no population any more."""
    play = Play(cls(context(120), population=6))
    play.run(60)
    again = cls(context(120, seed=9), population=6)
    again.load_state_dict(loads(dumps(play.strategy.state_dict())))
    play.strategy = again
    outcomes = play.run()
    assert len(outcomes) == 120
    assert len({o.proposal.point for o in outcomes}) == 120


@pytest.mark.parametrize("cls", ALL)
def test_it_goes_on_when_it_knows_the_whole_space(cls: type[Any]) -> None:
    outcomes = Play(cls(context(40, space=TINY), population=4)).run()
    assert len(outcomes) == 40
    assert len({o.proposal.point for o in outcomes}) == 6


@pytest.mark.parametrize("cls", [Nsga3, SmsEmoa, Moead])
def test_better_than_random_on_a_toy(cls: type[Any]) -> None:
    ours = [volume(cls(context(120, seed=seed), population=12)) for seed in range(5)]
    theirs = [volume(Random(context(120, seed=seed))) for seed in range(5)]
    assert sum(a > b for a, b in zip(ours, theirs, strict=True)) >= 4


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("wrong", [{"population": 1}, {"crossover": 1.1}, {"mutation": -0.1}])
def test_mistakes(cls: type[Evolving], wrong: dict[str, Any]) -> None:
    with pytest.raises(HwnasError, match=rf"search\.{next(iter(wrong))}"):
        cls(context(), **wrong)


def test_mistakes_in_moead() -> None:
    with pytest.raises(HwnasError, match=r"search\.neighbours"):
        Moead(context(), neighbours=1)
