"""LEMONADE trains few of many children, those whose costs are unlike the others'."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare, norm

from hwnas.core import (
    Architecture,
    Context,
    HwnasError,
    Metric,
    Objective,
    Objectives,
    Outcome,
    Proposal,
    Space,
)
from hwnas.core.state import dumps, loads
from hwnas.search.evolution.lemonade import Lemonade
from hwnas.search.random import Random
from hwnas.space.moves import every, sample
from hwnas.testing.play import Play
from tests.property import brute
from tests.unit.searching import CELL, FAKE, TINY, distance, volume

Costs = Callable[[Architecture], Mapping[str, float]]

ERROR, FLOPS, PARAMS = FAKE.metrics
# More of one is less of the other, so that no costs are better than others.
OPPOSED = (ERROR, FLOPS, Metric("spare", goal="max", cheap=True))


def opposed(architecture: Architecture) -> dict[str, float]:
    flops = FAKE.value(architecture, "flops")
    return {"flops": flops, "spare": flops}


def strategy(
    metrics: Sequence[Metric] = (ERROR, FLOPS),
    costs: Costs = FAKE.costs,
    limits: Mapping[str, float] | None = None,
    seed: int = 0,
    evaluations: int = 10_000,
    space: Space = CELL,
    **options: Any,
) -> Lemonade:
    goals = Objectives([Objective(m, (limits or {}).get(m.name)) for m in metrics])
    rng = np.random.default_rng(seed)
    return Lemonade(Context(space, goals, rng, 9, evaluations, costs), **options)


def population(search: Lemonade) -> list[tuple[int, Architecture, dict[str, float]]]:
    own = search.state_dict()["own"]["population"]
    return [(id, Architecture.from_json(a), m) for id, a, m in own]


def begin(search: Lemonade, n: int, told: Costs, waiting: int = 1) -> dict[str, Any]:
    """The state after ``n`` random networks, some in work, so that no child is bred ahead."""
    for proposal in search.ask(n)[waiting:]:
        assert isinstance(proposal.point, Architecture)
        search.tell([Outcome(proposal, told(proposal.point))])
    return search.state_dict()


def again(state: Mapping[str, Any], seed: int, make: Callable[[], Lemonade]) -> Lemonade:
    """A search that goes on from a state, with a random state of its own."""
    search = make()
    search.load_state_dict(loads(dumps(state)))
    search.context.rng = np.random.default_rng(seed)
    return search


def front_by_cost(architecture: Architecture) -> dict[str, float]:
    """What costs more errs less: all networks are on the front."""
    costs = opposed(architecture)
    return {"error": 2.0 - costs["flops"], **costs}


def shares(known: Sequence[float], at: Sequence[float], bandwidth: float) -> np.ndarray:
    """1 / density at these flops, of two opposed costs, as shares."""
    mean, std = np.mean(known), np.std(known)
    z, x = (np.array(known) - mean) / std, (np.array(at) - mean) / std
    kernels = norm.pdf((x[:, None] - z) / bandwidth) ** 2  # one factor for each of the two costs
    inverse = 1 / kernels.mean(axis=1)
    return inverse / inverse.sum()


def flops(architecture: Architecture) -> float:
    return FAKE.value(architecture, "flops")


@pytest.mark.parametrize("density", ["population", "tried"])
def test_parents_are_drawn_inversely_to_the_density(density: str) -> None:
    def make() -> Lemonade:
        return strategy(
            OPPOSED, opposed, initial=12, children=1, bandwidth=0.5, density=density, seed=3
        )

    state = begin(make(), 12, front_by_cost, waiting=6)
    search = make()
    search.load_state_dict(state)
    members = population(search)
    assert len(members) == 6
    costs = [m["flops"] for _, _, m in members]
    waiting = [flops(p.point) for p in search.pending.values()]  # type: ignore[arg-type]
    expected = {
        "population": shares(costs, costs, 0.5),
        "tried": shares(costs + waiting, costs, 0.5),
    }
    trials = 400
    drawn = [again(state, seed, make).ask(1)[0].parent for seed in range(trials)]
    counts = [drawn.count(id) for id, _, _ in members]
    for name, share in expected.items():
        assert (chisquare(counts, share * trials).pvalue > 0.001) == (name == density)


def test_parents_are_drawn_uniformly_where_no_objective_is_cheap() -> None:
    metrics = (ERROR, Metric("latency_ms"))

    def make() -> Lemonade:
        return strategy(metrics, lambda _: {}, initial=6)

    def told(a: Architecture) -> dict[str, float]:
        return {"error": 2.0 - flops(a), "latency_ms": flops(a)}

    state = begin(make(), 6, told)
    drawn = [again(state, seed, make).ask(1)[0].parent for seed in range(400)]
    assert chisquare([drawn.count(id) for id in set(drawn)]).pvalue > 0.001
    assert len(set(drawn)) == 5


class Log:
    """Costs that remember who was asked about."""

    def __init__(self, costs: Costs) -> None:
        self.costs, self.asked = costs, list[Architecture]()

    def __call__(self, architecture: Architecture) -> Mapping[str, float]:
        self.asked.append(architecture)
        return self.costs(architecture)


def test_children_are_accepted_inversely_to_the_density() -> None:
    """The rank of the accepted by density, against the sum of its chances in each generation."""
    log = Log(opposed)

    def make() -> Lemonade:
        return strategy(OPPOSED, log, initial=7, children=5, bandwidth=0.7, density="population")

    state = begin(make(), 7, front_by_cost)
    known = [m["flops"] for _, _, m in state["own"]["population"]]
    counts, chances = np.zeros(5), []
    for seed in range(400):
        log.asked.clear()
        (child,) = again(state, seed, make).ask(1)
        offered = sorted(log.asked, key=flops)
        assert len(offered) == 5
        chance = shares(known, [flops(a) for a in offered], 0.7)
        order = np.argsort(chance)
        counts[order.tolist().index(offered.index(child.point))] += 1  # type: ignore[arg-type]
        chances.append(chance[order])
    p = np.array(chances)
    spread = np.sqrt((p * (1 - p)).sum(axis=0))
    assert (np.abs(counts - p.sum(axis=0)) < 4 * spread).all()
    assert counts[-1] > 2 * counts[0]  # uniform draws would not do


def test_only_accepted_children_are_proposed_and_costs_are_known_before() -> None:
    log = Log(FAKE.costs)
    search = strategy(costs=log, evaluations=60, initial=5, children=6, accepted=2)
    play = Play(search)
    while not search.done:
        before = len(play.told)
        play.run(before + 1)
        assert play.told[-1].proposal.point in log.asked
    proposed = [o.proposal.point for o in play.told]
    assert len(set(proposed)) == 60
    assert len(set(log.asked)) > 120  # most were never trained
    parents = [o.proposal.parent for o in play.told]
    assert parents[:5] == [None] * 5
    told = {o.proposal.id: o.proposal.point for o in play.told}
    children = [(p, o.proposal.point) for p, o in zip(parents, play.told, strict=True) if p]
    assert len(children) > 30  # the others are random, where all morphs of the front are known
    assert all(distance(told[parent], child) == 1 for parent, child in children)


@pytest.mark.parametrize("metrics", [(ERROR, FLOPS), (ERROR, FLOPS, PARAMS), (ERROR,)])
def test_the_population_is_the_front_of_what_was_told(metrics: Sequence[Metric]) -> None:
    search = strategy(metrics, evaluations=60, initial=6, children=5, accepted=3)
    play = Play(search, 3, np.random.default_rng(0), lambda count: count % 4 == 3)
    while not search.done:
        play.run(len(play.told) + 1)
        good = [o for o in play.told if o.failed is None]
        values = np.array([search.context.objectives.values(o.metrics) for o in good])
        expected = {good[i].proposal.id for i in brute.fronts(values)[0]}
        assert {id for id, _, _ in population(search)} == expected


def test_a_child_dominated_at_birth_waits_for_others() -> None:
    log = Log(FAKE.costs)

    def make() -> Lemonade:
        return strategy(costs=log, initial=6, children=4, seed=5)

    def told(a: Architecture) -> dict[str, float]:
        return {"error": 2.0 - flops(a), "flops": flops(a)}

    state = begin(make(), 6, told)
    search = make()
    search.load_state_dict(state)
    members = population(search)
    assert all(distance(a, b) > 2 for (_, a, _), (_, b, _) in combinations(members, 2))
    best = min(m["error"] for _, _, m in members)
    fewer = grown = 0
    for seed in range(100):
        log.asked.clear()
        (proposal,) = again(state, seed, make).ask(1)
        births = {}
        for child in log.asked:
            (parent,) = [m for _, a, m in members if distance(a, child) == 1]
            births[child] = (parent["error"], flops(child))

        def free(child: Architecture, births: dict[Any, tuple[float, float]] = births) -> bool:
            error, cost = births[child]
            rivals = [b for b in births.values() if b != (error, cost)]
            if error != best:
                rivals += [(m["error"], m["flops"]) for _, _, m in members]
            return not any(e <= error and c <= cost for e, c in rivals)

        good = [child for child in births if free(child)]
        assert proposal.point in (good or births)
        fewer += len(good) < len(births)
        error, cost = births[proposal.point]  # type: ignore[index]
        grown += len(good) > 1 and error == best and cost > 2.0 - best
    assert fewer > 30
    assert grown > 3  # children of who is best, although dominated by its own parent


def test_over_a_cheap_limit_nothing_is_trained_while_there_is_something_else() -> None:
    rng = np.random.default_rng(0)
    limit = float(np.quantile([flops(sample(CELL, rng)) for _ in range(400)], 0.15))
    search = strategy(limits={"flops": limit}, evaluations=60)
    outcomes = Play(search).run()
    assert len(outcomes) == 60
    assert all(o.metrics["flops"] <= limit for o in outcomes)


def test_where_all_are_over_a_limit_it_goes_towards_it() -> None:
    search = strategy(limits={"flops": 1e-3}, evaluations=30, initial=3, children=4)
    outcomes = Play(search).run()
    cheapest = [min(o.metrics["flops"] for o in outcomes[: n + 1]) for n in range(30)]
    assert len(outcomes) == 30
    assert cheapest[-1] < cheapest[2]
    assert [m["flops"] for _, _, m in population(search)] == [cheapest[-1]]


def test_a_network_of_unknown_cost_is_not_trained_while_there_are_others() -> None:
    def costs(architecture: Architecture) -> Mapping[str, float]:
        if flops(architecture) > 0.6:
            raise HwnasError("not in the table")
        return FAKE.costs(architecture)

    outcomes = Play(strategy(costs=costs, evaluations=40)).run()
    assert all(o.metrics["flops"] <= 0.6 for o in outcomes)


def test_costs_that_are_all_the_same_and_of_any_size() -> None:
    for scale in (0.0, 1e12):

        def costs(architecture: Architecture, scale: float = scale) -> dict[str, float]:
            return {"flops": scale * flops(architecture), "params": 7.0}

        search = strategy((ERROR, FLOPS, PARAMS), costs, evaluations=30, initial=3)
        told: list[Proposal] = []
        while not search.done:
            for p in search.ask(2):
                told.append(p)
                assert isinstance(p.point, Architecture)
                search.tell([Outcome(p, {"error": FAKE.value(p.point, "error"), **costs(p.point)})])
        assert len({p.point for p in told}) == 30


def test_a_small_space_is_trained_once_and_then_it_ends() -> None:
    for slots in (1, 3):
        search = strategy(space=TINY, evaluations=60, initial=2)
        outcomes = Play(search, slots).run()
        assert sorted(o.proposal.point.key for o in outcomes) == sorted(a.key for a in every(TINY))  # type: ignore[union-attr]


def test_better_than_random_on_a_toy() -> None:
    ours = [volume(strategy(seed=seed, evaluations=60)) for seed in range(5)]
    theirs = [volume(Random(strategy(seed=seed, evaluations=60).context)) for seed in range(5)]
    assert np.mean(ours) > np.mean(theirs)
    assert sum(a > b for a, b in zip(ours, theirs, strict=True)) >= 4


@pytest.mark.parametrize(
    ("option", "value"),
    [("initial", 0), ("accepted", 0), ("accepted", 16), ("bandwidth", 0.0)],
)
def test_mistakes(option: str, value: float) -> None:
    with pytest.raises(HwnasError, match=rf"search\.{option}: must be .*, got {value}\."):
        strategy(**{option: value})
