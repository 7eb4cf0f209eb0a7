"""Monte Carlo tree search does what its papers say."""

from collections import Counter
from math import ceil, exp, inf, log, sqrt
from typing import Any

import numpy as np
import pytest

from hwnas.core import (
    Architecture,
    Context,
    HwnasError,
    Metric,
    Objective,
    Objectives,
    Outcome,
    Proposal,
    TensorType,
)
from hwnas.core.state import dumps, loads
from hwnas.search.random import Random
from hwnas.search.tree.mcts import MCTS
from hwnas.space.chain import Chain
from hwnas.testing.play import Play
from tests.unit.searching import CELL, FAKE, TINY, context, play, volume
from tests.unit.words import Words

UCT = {"share": 0.0, "prior": 0.0, "widening": 100.0}


def fake_error(architecture: Architecture) -> dict[str, float]:
    return {"error": FAKE.value(architecture, "error")}


def first(proposal: Proposal) -> Any:
    return proposal.architecture["c0"]


WIDE = Words(["a", "b"], list("uvwxyz"))


@pytest.mark.parametrize(
    ("exploration", "taken"),
    # Of 3 trials "a" had ranks 0 and 2, "b" rank 1; top = 1, so rewards are exp(-rank / 3):
    # a: (1 + 0.513) / 2 = 0.757, bonus sqrt(2 ln 3 / 2) = 1.048; b: 0.717, bonus 1.482
    [(0.0, "a"), (0.05, "a"), (0.09, "a"), (0.10, "b"), (1.0, "b")],
)
def test_uct_picks_as_computed_by_hand(exploration: float, taken: str) -> None:
    for seed in range(4):
        strategy = MCTS(context(seed=seed, space=WIDE), exploration=exploration, top=1.0, **UCT)
        scores = {"a": [0.1, 0.9], "b": [0.5]}
        for _ in range(3):  # "a" and "b" in some order, then the better one again
            (proposal,) = strategy.ask(1)
            error = scores[first(proposal)].pop(0)
            strategy.tell([Outcome(proposal, {"error": error})])
        assert first(*strategy.ask(1)) == taken


def test_each_value_is_tried_before_any_is_taken_again() -> None:
    told = play(MCTS(context(), **UCT), fake_error, 30)
    name = next(iter(told[0]))
    assert len({a[name] for a in told[:5]}) == 5
    second = list(told[0])[1]
    for value in {a[name] for a in told}:
        under = [a[second] for a in told if a[name] == value]
        assert len(set(under[:5])) == len(under[:5])


def bounds(
    past: list[Any], rewards: list[float], taken: dict[str, Any], name: str,
    values: list[Any], c: float, share: float, prior: float,
) -> dict[Any, float]:  # fmt: skip
    """The upper confidence bounds by their definition, from the list of trials alone."""
    visits, totals = dict.fromkeys(values, 0.0), dict.fromkeys(values, 0.0)
    for trial, reward in zip(past, rewards, strict=True):
        weight = share ** sum(trial[n] != v for n, v in taken.items())
        if trial[name] in visits:
            visits[trial[name]] += weight
            totals[trial[name]] += weight * reward
    n = sum(visits.values())
    mean = sum(totals.values()) / n if n else 0.0
    result = {}
    for v in values:
        own = visits[v] + prior
        spread = sqrt(2 * log(max(1, n + prior * len(values))) / own) if own else inf
        result[v] = (totals[v] + prior * mean) / own + c * spread if own else inf
    return result


@pytest.mark.parametrize(("share", "prior"), [(0.0, 0.0), (0.3, 0.5), (1.0, 0.25)])
def test_every_decision_has_the_greatest_bound(share: float, prior: float) -> None:
    options = {"share": share, "prior": prior, "widening": 100.0, "exploration": 0.2}
    told = play(MCTS(context(), top=0.2, **options), fake_error, 80)
    ops = sorted({v for a in told for v in a.values()})
    assert len(ops) == 5
    for i, architecture in enumerate(told):
        errors = [fake_error(a)["error"] for a in told[:i]]
        ranks = [sum(e < error for e in errors) for error in errors]
        rewards = [exp(-rank / max(1.0, 0.2 * i)) for rank in ranks]
        taken: dict[str, Any] = {}
        for depth, (name, value) in enumerate(architecture.items()):
            same = [a for a in told[:i] if all(a[n] == v for n, v in taken.items())]
            known = Counter(a[name] for a in same)
            free = [v for v in ops if known[v] < 5 ** (5 - depth)]
            bound = bounds(told[:i], rewards, taken, name, free, 0.2, share, prior)
            assert bound[value] == pytest.approx(max(bound.values())), (i, name)
            taken[name] = value


@pytest.mark.parametrize("options", [{}, UCT])
def test_visits_gather_where_it_is_best(options: dict[str, float]) -> None:
    """One choice matters, the other ones say nothing: the better, the more visits."""
    good = {"a": 0.1, "b": 0.5, "c": 0.6, "d": 0.9}
    space = Words(list(good), ["x", "y", "z"], [f"o{i}" for i in range(20)])
    noise = np.random.default_rng(5)
    told = play(
        MCTS(context(space=space), top=0.3, exploration=0.1, **options),
        lambda a: {"error": good[a["c0"]] + 0.15 * noise.random()},
        50,
    )
    visits = Counter(a["c0"] for a in told)
    assert visits["a"] == max(visits.values())
    assert visits["a"] > 25
    assert Counter(a["c0"] for a in told[25:])["a"] > Counter(a["c0"] for a in told[:25])["a"]
    assert visits["b"] >= visits["d"]


def test_pending_trials_are_a_virtual_loss() -> None:
    strategy = MCTS(context(space=WIDE), exploration=0.0, top=1.0, **UCT)
    told = strategy.ask(2)  # both values, as the untried come first
    assert {first(p) for p in told} == {"a", "b"}
    errors = {"a": 0.1, "b": 0.2}  # rewards 1 and exp(-1 / 2) = 0.61
    strategy.tell([Outcome(p, {"error": errors[first(p)]}) for p in told])
    pending = strategy.ask(2)  # with one in work "a" is worth 1 / 2
    assert [first(p) for p in pending] == ["a", "b"]


def test_a_failure_is_worth_nothing() -> None:
    strategy = MCTS(context(space=WIDE), exploration=0.0, **UCT)
    told = strategy.ask(2)
    strategy.tell([Outcome(told[0], failed="no"), Outcome(told[1], {"error": 1.0})])
    for _ in range(3):
        (proposal,) = strategy.ask(1)
        assert first(proposal) == first(told[1])
        strategy.tell([Outcome(proposal, {"error": 1.0})])


@pytest.mark.parametrize("many", [[str(i) for i in range(100)], (10, 4)])
def test_widening_limits_the_children(many: Any) -> None:
    """A node that was visited n times has at most k n^alpha children, but for exhausted ones."""
    strategy = MCTS(context(space=Words(many, ["x", "y", "z"])), exploration=0.3, alpha=0.4)
    told = play(strategy, lambda a: {"error": float(sum(map(int, a["c0"])))}, 120)
    children: Counter[Any] = Counter()
    for i, architecture in enumerate(told):
        children[architecture["c0"]] += 1
        done = sum(count == 3 for count in children.values())
        assert len(children) - done <= ceil(2.0 * max(1, i) ** 0.4)
    assert max(children.values()) == 3
    assert len(children) > ceil(2.0 * 120**0.4)  # the best of them are exhausted


def test_new_children_are_those_that_were_good_elsewhere() -> None:
    """924 inputs under each of eight values: what was good under one is tried under others."""
    space = Words(list("abcdefgh"), (12, 6))
    told = play(MCTS(context(space=space)), lambda a: {"error": float(sum(a["c1"]))}, 150)
    best = min(told, key=lambda a: sum(a["c1"]))["c1"]
    assert sum(a["c1"] == best for a in told) >= 3  # 1.2 at random


def test_numbers_are_bisected() -> None:
    """A good number raises its neighbours, which were never tried, above all others."""
    space = Words(list(range(64)), [str(i) for i in range(9)])
    told = play(MCTS(context(space=space), **UCT), lambda a: {"error": abs(a["c0"] - 41)}, 60)
    numbers = [a["c0"] for a in told]
    assert {n < 32 for n in numbers[:2]} == {True, False}
    assert np.mean([abs(n - 41) for n in numbers[40:]]) < 10  # 19.3 at random


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("slots", [1, 3])
def test_a_known_space_ends_the_search(fails: bool, slots: int) -> None:
    strategy = MCTS(context(60, space=TINY))
    outcomes = Play(strategy, slots, fails=lambda _: fails).run()
    assert strategy.done
    assert len(outcomes) == len({o.proposal.point for o in outcomes}) == 6


def test_a_space_without_choices() -> None:
    assert len(Play(MCTS(context(9, space=Words()))).run()) == 1


@pytest.mark.parametrize("options", [{}, UCT, {"share": 1.0, "exploration": 0.0}])
def test_nothing_is_asked_twice(options: dict[str, float]) -> None:
    chain = Chain(TensorType((1, 4, 4)), 3, depth=[1, 2, 3], filters=[4, 8], kernels=[1, 3])
    for space in (chain, CELL):
        outcomes = Play(MCTS(context(80, 2, space=space), **options), 3).run()
        assert len({o.proposal.point for o in outcomes}) == 80


def test_with_limits_the_feasible_are_worth_more() -> None:
    goals = Objectives([Objective(Metric("error")), Objective(Metric("flops"), limit=5.0)])
    space = Words(["cheap", "dear"], [str(i) for i in range(60)])
    strategy = MCTS(Context(space, goals, np.random.default_rng(0), evaluations=60), **UCT)
    taken = []
    while not strategy.done:
        (proposal,) = strategy.ask(1)
        dear = first(proposal) == "dear"
        metrics = {"error": 0.1 if dear else 0.8, "flops": 9.0 if dear else 4.0}
        strategy.tell([Outcome(proposal, metrics)])
        taken.append(dear)
    assert np.mean(taken) < 0.2


def test_snapshots_are_small_and_grow_the_same_tree() -> None:
    strategy = MCTS(context(500, 2))
    Play(strategy).run(100)
    pending = strategy.ask(3)
    text = dumps(strategy.state_dict())
    assert len(text) < 100 * 103
    again = MCTS(context(500, 2, seed=9))
    again.load_state_dict(loads(text))
    outcomes = [Outcome(p, {"error": 0.1 * i, "flops": 1.0}) for i, p in enumerate(pending)]
    for each in (strategy, again):
        each.tell(outcomes)
    ours, theirs = strategy.ask(20), again.ask(20)
    assert [p.to_json() for p in ours] == [p.to_json() for p in theirs]


def test_better_than_random_on_a_toy() -> None:
    ours = [volume(MCTS(context(80, 2, seed))) for seed in range(5)]
    theirs = [volume(Random(context(80, 2, seed))) for seed in range(5)]
    assert sum(a > b for a, b in zip(ours, theirs, strict=True)) >= 4


@pytest.mark.parametrize(
    ("option", "value"),
    [("exploration", -1.0), ("share", 1.5), ("prior", inf), ("top", -0.1), ("widening", 0.5),
     ("alpha", 2.0)],
)  # fmt: skip
def test_mistakes(option: str, value: float) -> None:
    with pytest.raises(HwnasError, match=rf"search\.{option}: must be"):
        MCTS(context(), **{option: value})
