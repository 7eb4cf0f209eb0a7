"""Q-learning does what its papers say."""

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

from hwnas.core import (
    Architecture,
    HwnasError,
    Outcome,
    Space,
    TensorType,
)
from hwnas.core.space import Pick
from hwnas.core.state import dumps, loads
from hwnas.graph.graph import Graph
from hwnas.graph.ops.linear import Linear
from hwnas.search._told import Told
from hwnas.search.policy.q_learning import QLearning
from hwnas.search.random import Random
from hwnas.space.chain import Chain
from tests.unit.searching import CELL, context, play
from tests.unit.words import Words

CELL_OPTIONS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
EVERYTHING = 99  # decisions remembered: no two prefixes are one state


class Deep(Space):
    """A number of layers, then a width for each."""

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        for i in range(pick("depth", [1, 2, 3])):
            pick(f"width{i}", [4, 8])
        return g.finish(g.add("classifier", Linear(self.outputs), g.input))


DEEP = Deep(TensorType((1,)), 3)


def draws(strategy: QLearning, epsilon: float, n: int, table: int = 0) -> list[Architecture]:
    return [strategy._draw(epsilon, table) for _ in range(n)]


def share(networks: list[Architecture], name: str, value: Any) -> float:
    return float(np.mean([a[name] == value for a in networks]))


# Values


@pytest.mark.parametrize("discount", [1.0, 0.7])
@pytest.mark.parametrize("seed", [0, 1])
def test_values_are_those_of_value_iteration(discount: float, seed: int) -> None:
    drawn = np.random.default_rng(seed).random(12)
    errors = dict(zip(product("ab", "uvw", [1, 2]), drawn, strict=True))
    space = Words(["a", "b"], ["u", "v", "w"], [1, 2])
    options = {"memory": EVERYTHING, "shaping": False, "rate": 0.5, "replay": 300}
    strategy = QLearning(context(space=space), discount=discount, **options)
    told = play(strategy, lambda a: {"error": errors[tuple(a.values())]}, 12)  # type: ignore[index]
    assert len(set(told)) == 12
    low, middle = min(errors.values()), sorted(errors.values())[6]
    reward = {k: 1 - 1.05 * (e - low) / (e - low + middle - low) for k, e in errors.items()}

    def value(prefix: tuple[Any, ...]) -> float:
        """From here on, by Bellman's equation; the reward comes with the last decision."""
        options = space.choices[f"c{len(prefix)}"]
        ends = len(prefix) == 2
        after = [(*prefix, o) for o in options]
        return max(reward[a] if ends else discount * value(a) for a in after)

    for (name, options, before), q in strategy._q.items():
        expected = [
            reward[(*before, o)] if name == "c2" else discount * value((*before, o))  # type: ignore[index]
            for o in options
        ]
        assert q[0] == pytest.approx(expected, abs=1e-6)


def test_one_replay_moves_the_values_as_computed_by_hand() -> None:
    space = Words(["a", "b"], ["u", "v"])
    for shaping, last, first in [
        (False, 0.5 + 0.1 * (1 - 0.5), 0.5 + 0.1 * (0.55 - 0.5)),
        # Begun at 0.25: half a reward for each of the two decisions
        (True, 0.25 + 0.1 * (0.5 - 0.25), 0.5 + 0.1 * (0.5 + 0.275 - 0.5)),
    ]:
        strategy = QLearning(context(space=space), shaping=shaping, replay=1, rate=0.1)
        (told,) = play(strategy, lambda _: {"error": 0.3}, 1)  # alone, so its reward is 1
        a, u = told["c0"], told["c1"]
        by_name = {name: (options, q[0]) for (name, options, _), q in strategy._q.items()}
        options, q = by_name["c1"]
        assert q[options.index(u)] == pytest.approx(last)  # type: ignore[arg-type]
        options, q = by_name["c0"]
        assert q[options.index(a)] == pytest.approx(first)  # type: ignore[arg-type]


def test_shaping_spreads_the_reward_and_leaves_the_best_the_best() -> None:
    cost = {"a": 0.0, "b": 0.3, "u": 0.5, "v": 0.1, "w": 0.2, 1: 0.4, 2: 0.2}
    space = Words(["a", "b"], ["u", "v", "w"], [1, 2])
    best = {"c0": "a", "c1": "v", "c2": 2}
    values = {}
    for shaping in (False, True):
        strategy = QLearning(
            context(space=space), memory=EVERYTHING, shaping=shaping, rate=0.1, replay=500
        )
        play(strategy, lambda a: {"error": sum(cost[v] for v in a.values())}, 12)  # type: ignore[index]
        assert draws(strategy, 0.0, 1) == [Architecture(best)]
        values[shaping] = [
            q[0].max() for (_, _, before), q in strategy._q.items() if [*before] in PREFIXES
        ]
    assert values[False] == pytest.approx([1, 1, 1], abs=1e-3)
    assert values[True][2] == pytest.approx(1 / 3, abs=1e-3)  # a third of the reward is left
    assert values[True][0] > values[True][1] > values[True][2]


PREFIXES = [[], ["a"], ["a", "v"]]  # of the best


def test_what_was_answered_long_ago_is_forgotten() -> None:
    """With a reward for the first choice alone, only shaping can teach it to a short memory."""
    space = Words(["a", "b"], [0, 1, 2], [0, 1, 2], [0, 1, 2])
    for memory, shaping, learnt in [(1, True, True), (1, False, False), (EVERYTHING, False, True)]:
        strategy = QLearning(context(54, space=space), memory=memory, shaping=shaping, rate=0.1)
        play(strategy, lambda a: {"error": float(a["c0"] == "b")}, 54)
        ((q, *_),) = [q for (name, _, _), q in strategy._q.items() if name == "c0"]
        assert bool(q[0] - q[1] > 0.05) is learnt
        longest = max(len(before) for _, _, before in strategy._q)
        assert longest == min(memory, 3)


# The schedule


def test_epsilon_falls_as_in_the_paper() -> None:
    """Of 2700 networks 1500 at 1.0, 100 each at 0.9 to 0.7 and 150 each at 0.6 to 0.1."""
    strategy = QLearning(context(2700, space=Words(list(range(3000)))), replay=1)
    used = []
    strategy._draw = lambda epsilon, table: used.append(epsilon) or Architecture({"c0": len(used)})  # type: ignore[method-assign,func-returns-value]
    while not strategy.done:
        strategy.ask(7)
        strategy.pending.clear()
    steps = {1.0: 1500, **dict.fromkeys([0.9, 0.8, 0.7], 100)}
    steps |= dict.fromkeys([0.6, 0.5, 0.4, 0.3, 0.2, 0.1], 150)
    assert used == pytest.approx([e for e, n in steps.items() for _ in range(n)])


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_a_share_of_the_decisions_is_random(epsilon: float) -> None:
    strategy = QLearning(context(space=Words(["a", "b", "c"], ["u", "v"])), replay=200, rate=0.1)
    play(strategy, lambda a: {"error": (a["c0"] != "b") + (a["c1"] != "u")}, 6)
    drawn = draws(strategy, epsilon, 2000)
    assert share(drawn, "c0", "b") == pytest.approx(1 - epsilon * 2 / 3, abs=0.05)
    assert share(drawn, "c1", "u") == pytest.approx(1 - epsilon / 2, abs=0.05)


def test_several_options_at_once_are_drawn_alike_and_learned() -> None:
    space = Words((5, 2), ["u", "v"])
    strategy = QLearning(context(space=space), replay=200, rate=0.1, memory=2)
    drawn = [a["c0"] for a in draws(strategy, 1.0, 5000)]
    for pair in set(drawn):
        assert np.mean([d == pair for d in drawn]) == pytest.approx(0.1, abs=0.03)
    assert len(set(drawn)) == 10
    told = play(strategy, lambda a: {"error": float(a["c0"] != (1, 3))}, 20)
    assert len(set(told)) == 20
    assert {a["c0"] for a in draws(strategy, 0.0, 20)} == {(1, 3)}


# What is learned


def test_one_table_of_trials_teaches_every_preference_its_end_of_the_front() -> None:
    space = Words(*[[0, 1]] * 4)

    def score(a: Architecture) -> dict[str, float]:
        ones = sum(a.values())  # type: ignore[arg-type]
        return {"error": (4 - ones) ** 2 / 16, "flops": ones**2 / 16}

    strategy = QLearning(context(16, 2, space=space), memory=EVERYTHING, rate=0.1, replay=300)
    play(strategy, score, 16)
    ends = {}
    for table, direction in enumerate(strategy._directions):
        (best,) = draws(strategy, 0.0, 1, table)
        ends[tuple(direction)] = sum(best.values())  # type: ignore[arg-type]
    assert ends[1.0, 0.0] == 4
    assert ends[0.0, 1.0] == 0
    assert set(ends.values()) == set(range(5))  # which is the whole front
    by_weight = [ends[d] for d in sorted(ends)]
    assert by_weight == sorted(by_weight)


def test_proposals_take_the_preferences_in_turn() -> None:
    strategy = QLearning(context(objectives=2), preferences=4)
    tables = []
    original = strategy._draw
    strategy._draw = lambda e, table: tables.append(table) or original(e, table)  # type: ignore[method-assign,func-returns-value]
    strategy.ask(9)
    assert tables == [0, 1, 2, 3, 0, 1, 2, 3, 0]


def test_limits_and_failures_are_shunned() -> None:
    """What passes the limit has the least error, and what fails would be in between."""
    space = Words(["over", "fails", "fits"], [0, 1, 2], [0, 1, 2])

    def score(a: Architecture) -> dict[str, float] | None:
        error = {"over": 9.0, "fits": 1.0}
        return None if a["c0"] == "fails" else {"error": error[str(a["c0"])]}

    strategy = QLearning(context(limit=2.0, space=space), memory=EVERYTHING, rate=0.1, replay=200)
    play(strategy, score, 27)
    (q,) = [q for (name, _, _), q in strategy._q.items() if name == "c0"]
    fails, fits, over = q[0, 1], q[0, 2], q[0, 0]
    assert fits > 0 > over > fails


def test_rewards_follow_the_running_scale() -> None:
    strategy = QLearning(context(space=Words(["a", "b", "c"])), replay=1)
    errors = {"a": 0.5, "b": 0.6, "c": 0.1}
    for (name, error), expected in zip(
        errors.items(),
        # The median is 0.6 of two, 0.5 of three.
        ([1.0], [1, 1 - 1.05 / 2], [1 - 1.05 / 2, 1 - 1.05 * 5 / 9, 1]),
        strict=True,
    ):
        proposal = strategy.context.propose(Architecture({"c0": name}))
        told = Told.of(Outcome(proposal, {"error": error}), strategy.context.objectives)
        strategy._add(told.architecture, told)
        found = strategy._rewards(np.arange(len(expected)))[:, 0]
        assert found == pytest.approx(expected)


def test_a_conditional_space_of_numbers() -> None:
    def score(a: Architecture) -> dict[str, float]:
        return {
            "error": sum(abs(a.get(f"width{i}", 0) - 8) for i in range(2)) / 16 + ("width2" in a)
        }  # type: ignore[operator,arg-type]

    strategy = QLearning(context(space=DEEP), replay=200, rate=0.1, memory=EVERYTHING)
    told = play(strategy, score)
    assert len(told) == len(set(told)) == 2 + 4 + 8  # all, and then it ends
    assert draws(strategy, 0.0, 1) == [Architecture({"depth": 2, "width0": 8, "width1": 8})]


def test_it_ends_though_everything_fails() -> None:
    strategy = QLearning(context(space=DEEP), replay=2)
    assert len(set(play(strategy, lambda _: None))) == 14


def test_it_beats_random_on_a_toy() -> None:
    values = np.random.default_rng(0).random((6, 5))
    options = CELL_OPTIONS

    def score(a: Architecture) -> dict[str, float]:
        f = [values[i, options.index(o)] for i, o in enumerate(a.values())]
        return {"error": sum(f) + sum(x * y for x, y in pairwise(f))}

    def best(cls: Any, seed: int, **given: Any) -> float:
        told = play(cls(context(100, seed=seed), **given), score, 100)
        return min(score(a)["error"] for a in told)

    ours = [best(QLearning, seed, rate=0.1, replay=30) for seed in range(5)]
    theirs = [best(Random, seed) for seed in range(5)]
    assert np.mean(ours) < np.mean(theirs)
    assert sum(a < b for a, b in zip(ours, theirs, strict=True)) >= 4


def test_a_front_is_found_on_a_toy() -> None:
    space = Words(*[[0, 1, 2]] * 5)  # 243 networks

    def score(a: Architecture) -> dict[str, float]:
        share = np.array(list(a.values()), float) / 2
        return {"error": float(np.mean((1 - share) ** 2)), "flops": float(np.mean(share**2))}

    strategy = QLearning(context(120, 2, seed=1, space=space), rate=0.1, replay=50)
    told = play(strategy, score, 120)
    assert {(0,) * 5, (1,) * 5, (2,) * 5} <= {tuple(a.values()) for a in told[66:]}


# State


@pytest.mark.parametrize("space", [CELL, Words((4, 2), [1, 2, 3]), Chain(TensorType((1, 4, 4)), 3)])
def test_a_snapshot_goes_on_identically(space: Space) -> None:
    def score(a: Architecture) -> dict[str, float] | None:
        number = int(a.key, 16)
        return None if number % 5 == 0 else {"error": number % 97, "flops": number % 89}

    def new(seed: int) -> QLearning:
        return QLearning(context(60, 2, seed, space=space), replay=9)

    first, second = new(0), new(1)
    play(first, score, 9)
    first.ask(2)
    text = dumps(first.state_dict())
    second.load_state_dict(loads(text))
    assert dumps(second.state_dict()) == text
    for strategy in (first, second):
        for proposal in list(strategy.pending.values()):
            strategy.tell([Outcome(proposal, {"error": 1.0, "flops": 2.0})])
    assert play(first, score, 40) == play(second, score, 40)
    assert dumps(first.state_dict()) == dumps(second.state_dict())


@pytest.mark.parametrize(
    ("key", "value"),
    [("rate", 0.0), ("rate", 1.5), ("discount", -0.1), ("replay", 0), ("memory", -1)],
)
def test_mistakes(key: str, value: Any) -> None:
    with pytest.raises(HwnasError, match=rf"search\.{key}"):
        QLearning(context(), **{key: value})


def test_as_many_preferences_as_objectives_at_least() -> None:
    with pytest.raises(HwnasError, match=r"search\.preferences: must be at least 2, got 1"):
        QLearning(context(objectives=2), preferences=1)
