"""The controller, REINFORCE and PPO do what their papers say."""

from collections import Counter
from collections.abc import Mapping
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import torch

from hwnas.core import (
    Architecture,
    Context,
    HwnasError,
    Metric,
    Objective,
    Objectives,
    Outcome,
    Space,
    TensorType,
)
from hwnas.core.space import Pick
from hwnas.core.state import dumps, loads
from hwnas.graph.graph import Graph
from hwnas.graph.ops.linear import Linear
from hwnas.search._models.controller import Controller
from hwnas.search.policy._policy import Drawn, Policy
from hwnas.search.policy.ppo import PPO, slopes
from hwnas.search.policy.reinforce import Reinforce
from hwnas.search.random import Random
from hwnas.space.moves import every
from hwnas.testing.play import Play
from tests.unit.searching import CELL, TINY, context, play, volume
from tests.unit.words import Words

BOTH: list[type[Policy]] = [Reinforce, PPO]
ALONE = np.ones(1)


class Conditional(Space):
    """A choice that is there for two of three, with other options for each, and a set."""

    def __init__(self) -> None:
        super().__init__(TensorType((1,)), 3)

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        first = pick("first", ["a", "b", "c"])
        if first != "c":
            pick("second", [1, 2] if first == "a" else [1, 2, 3])
        pick.inputs("set", dict.fromkeys(range(4), g.input), 2)
        return g.finish(g.add("classifier", Linear(self.outputs), g.input))


TOY = Words(["x", "y"], ["p", "q", "r"])


def uneven(objectives: int = 1, seed: int = 1, space: Space | None = None) -> Controller:
    """A controller whose probabilities differ widely."""
    controller = Controller(objectives, seed, hidden=8)
    networks = list(every(space or TOY))
    controller.evaluate(space or TOY, networks, np.ones((len(networks), objectives)))
    state = controller.state_dict()
    rng = np.random.default_rng(seed)
    for name, value in state["parameters"].items():
        state["parameters"][name] = rng.normal(size=value.shape).astype(np.float32)
    controller.load_state_dict(state)
    return controller


def probabilities(
    controller: Controller, space: Space, preference: np.ndarray = ALONE
) -> dict[Architecture, float]:
    networks = list(every(space))
    log_prob, _ = controller.evaluate(space, networks, np.tile(preference, (len(networks), 1)))
    return dict(zip(networks, np.exp(log_prob.sum(1)).astype(float), strict=True))


# the controller


@pytest.mark.parametrize("space", [TOY, Conditional(), Words((5, 3), ["a", "b"]), Words()])
def test_probabilities_are_exact(space: Space) -> None:
    """They sum to one over the whole space, and draws come as often as they say."""
    controller = uneven(space=space)
    expected = probabilities(controller, space)
    assert sum(expected.values()) == pytest.approx(1, abs=1e-5)
    rng, n = np.random.default_rng(0), 600
    counts: Counter[Architecture] = Counter()
    for _ in range(n):
        architecture, log_probs = controller.sample(space, ALONE, rng)
        assert np.exp(log_probs.sum()) == pytest.approx(expected[architecture], rel=1e-4)
        counts[architecture] += 1
    common = [a for a, p in expected.items() if n * p >= 5]
    rest = n - sum(counts[a] for a in common)
    spare = n * (1 - sum(expected[a] for a in common))
    chi = sum((counts[a] - n * expected[a]) ** 2 / (n * expected[a]) for a in common)
    chi += (rest - spare) ** 2 / spare if spare > 5 else 0.0
    assert chi < len(common) + 4 * np.sqrt(2 * len(common)) + 1


def test_a_set_is_as_likely_as_the_product_of_its_options() -> None:
    space = Words((5, 3))
    controller = uneven(space=space)
    found = probabilities(controller, space)
    singles = {  # odds by the sets that differ in one option
        (i, j): found[Architecture({"c0": tuple(sorted({i, *rest}))})]
        / found[Architecture({"c0": tuple(sorted({j, *rest}))})]
        for i, j in product(range(5), repeat=2)
        if i != j
        for rest in combinations(sorted(set(range(5)) - {i, j}), 2)
    }
    for (i, j), odds in singles.items():
        for rest in combinations(sorted(set(range(5)) - {i, j}), 2):
            one = found[Architecture({"c0": tuple(sorted({i, *rest}))})]
            other = found[Architecture({"c0": tuple(sorted({j, *rest}))})]
            assert one / other == pytest.approx(odds, rel=1e-3)


@pytest.mark.parametrize("space", [TOY, Conditional(), Words((5, 3))])
def test_entropy_is_that_of_the_policy(space: Space) -> None:
    """The mean over draws of a path's entropies is the entropy of all (chain rule)."""
    controller = uneven(space=space)
    p = probabilities(controller, space)
    _, entropies = controller.evaluate(space, list(p), np.ones((len(p), 1)))
    weights = np.array(list(p.values()))
    assert weights @ entropies.sum(1) == pytest.approx(-(weights * np.log(weights)).sum(), rel=1e-3)


def test_what_was_met_first_does_not_matter() -> None:
    first, second = (Controller(1, seed=3, hidden=8) for _ in range(2))
    first.evaluate(Words(["a", "b"]), list(every(Words(["a", "b"]))), np.ones((2, 1)))
    assert probabilities(first, TOY) == probabilities(second, TOY)
    assert probabilities(Controller(1, seed=4, hidden=8), TOY) != probabilities(second, TOY)


def test_torch_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    controller = Controller(1, 0)
    controller.sample(TOY, ALONE, np.random.default_rng(0))
    assert torch.equal(before, torch.random.get_rng_state())


# the policy gradient

REWARD = {("x", "p"): 1.0, ("x", "q"): -0.5, ("x", "r"): 0.2,
          ("y", "p"): 0.0, ("y", "q"): 0.7, ("y", "r"): -1.0}  # fmt: skip


@pytest.mark.parametrize("baseline", [0.0, 0.6])
def test_reinforce_follows_the_gradient_of_the_expected_reward(baseline: float) -> None:
    """Its expectation, by enumeration, is p (Q - V) at the biases, whatever the baseline."""
    controller = uneven()
    p = probabilities(controller, TOY)
    total: dict[str, np.ndarray] = {}
    for network, probability in p.items():
        reward = REWARD[network["c0"], network["c1"]]  # type: ignore[index]
        gradient = controller.gradient(
            TOY, [network], ALONE[None], lambda _, r=reward: np.array([[r - baseline]])
        )
        for name, value in gradient.items():
            total[name] = total.get(name, 0.0) + probability * value
    joint = np.array([[p[Architecture({"c0": a, "c1": b})] for b in "pqr"] for a in "xy"])
    reward = np.array([[REWARD[a, b] for b in "pqr"] for a in "xy"])
    first = joint.sum(1)
    q = (joint * reward).sum(1) / first
    expected = {'["c0"': first * (q - first @ q), '["c1"': (joint * (reward - q[:, None])).sum(0)}
    for key, value in expected.items():
        (found,) = [g for name, g in total.items() if name.startswith(f"bias {key}")]
        np.testing.assert_allclose(found, value, atol=1e-5)


def test_reinforce_weighs_by_its_advantages(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = Reinforce(context(space=TOY), batch=3)
    given = {}

    def ascend(space, architectures, preferences, weigh, entropy):  # type: ignore[no-untyped-def]
        given.update(weights=weigh(np.zeros((3, 2))), preferences=preferences)

    monkeypatch.setattr(strategy._controller, "ascend", ascend)
    network = next(every(TOY))
    batch = [Drawn(network, np.array([float(i)]), np.zeros(2)) for i in range(3)]
    strategy._improve(batch, np.array([0.3, -0.6, 0.9]))
    np.testing.assert_allclose(
        given["weights"] + np.zeros((3, 2)), [[0.1] * 2, [-0.2] * 2, [0.3] * 2]
    )
    np.testing.assert_array_equal(given["preferences"], [[0.0], [1.0], [2.0]])


def test_ppo_stops_outside_the_trust_region() -> None:
    """The derivative of min(r A, clip(r) A), by finite differences, and 0 where it is clipped."""
    ratio = np.array([0.5, 0.79, 0.9, 1.1, 1.21, 2.0] * 2)
    advantages = np.repeat([0.7, -0.4], 6)
    old = np.linspace(-3, -1, 12)

    def surrogate(log_prob: np.ndarray) -> np.ndarray:
        r = np.exp(log_prob - old)
        return np.minimum(r * advantages, np.clip(r, 0.8, 1.2) * advantages)

    at, h = old + np.log(ratio), 1e-6
    found = slopes(at, old, advantages, 0.2)
    np.testing.assert_allclose(found, (surrogate(at + h) - surrogate(at - h)) / (2 * h), atol=1e-8)
    assert (found != 0).tolist() == [True] * 4 + [False] * 2 + [False] * 2 + [True] * 4


def test_ppo_rests_when_it_has_left_the_trust_region() -> None:
    strategy = PPO(context(space=TOY), batch=1, epochs=1, entropy=0.0, lr=0.01)
    controller = strategy._controller
    architecture, old = controller.sample(TOY, ALONE, np.random.default_rng(0))
    sizes = []
    for _ in range(25):
        new, _ = controller.evaluate(TOY, [architecture], ALONE[None])
        gradient = controller.gradient(
            TOY,
            [architecture],
            ALONE[None],
            lambda new: slopes(new, old[None], np.ones((1, 1)), 0.2),
        )
        size = max(abs(g).max() for g in gradient.values())
        sizes.append(size)
        assert (size == 0) == (np.exp(new[0] - old) >= 1.2).all()
        strategy._improve([Drawn(architecture, ALONE, old)], np.array([1.0]))
    assert sizes[0] > 0
    assert sizes[-1] == 0


# learning


def error(value: float) -> Mapping[str, float]:
    return {"error": value}


@pytest.mark.parametrize("cls", BOTH)
def test_it_comes_to_prefer_the_best(cls: type[Policy]) -> None:
    """Two answers that are good together only: the second must heed the first."""
    space = Words(["a", "b", "c"], ["a", "b", "c"], list(range(400)))
    good = {("a", "b"), ("b", "a")}
    strategy = cls(context(space=space), batch=8)
    told = play(strategy, lambda a: error(float((a["c0"], a["c1"]) not in good)), 250)
    late = [(a["c0"], a["c1"]) in good for a in told[-50:]]
    assert np.mean(late) > 0.6  # 0.22 at random


@pytest.mark.parametrize("cls", BOTH)
def test_one_policy_covers_a_front(cls: type[Policy]) -> None:
    """The dearer, the better: which of them is drawn depends on the preference."""
    space = Words(*[["cheap", "good"]] * 4)

    def share(a: Mapping[str, Any]) -> float:
        return sum(v == "good" for v in a.values()) / len(a)

    strategy = cls(context(objectives=2, space=space), batch=10)
    play(strategy, lambda a: {"error": 1 - share(a), "flops": share(a)}, 16)  # all of them
    for _ in range(70):
        strategy._draw()
    rng = np.random.default_rng(0)
    means = []
    for preference in np.array([[0.95, 0.05], [0.5, 0.5], [0.05, 0.95]]):
        drawn = [strategy._controller.sample(space, preference, rng)[0] for _ in range(50)]
        means.append(np.mean([share(a) for a in drawn]))
    assert means[0] > means[1] + 0.15 > means[2] + 0.3


@pytest.mark.parametrize("cls", BOTH)
def test_entropy_is_kept_up_by_its_bonus(cls: type[Policy]) -> None:
    left = []
    for entropy in (0.0, 0.5):
        strategy = cls(context(space=TOY), entropy=entropy)
        network = next(every(TOY))
        rng = np.random.default_rng(0)
        for _ in range(20):
            _, log_probs = strategy._controller.sample(TOY, ALONE, rng)
            strategy._improve([Drawn(network, ALONE, log_probs)], np.array([0.3]))
        p = np.array(list(probabilities(strategy._controller, TOY).values()))
        left.append(-(p * np.log(p)).sum())
    assert left[1] > left[0] + 0.2


# rewards, draws and the end


def drawn(strategy: Policy, architecture: Architecture, preference: np.ndarray = ALONE) -> Drawn:
    return Drawn(architecture, preference, np.zeros(2))


def test_rewards_are_scaled_under_each_preference() -> None:
    strategy = Reinforce(context(objectives=2, space=Words([str(i) for i in range(40)])), batch=4)
    table = {str(i): {"error": 0.1 * i, "flops": 50.0 - 10 * i} for i in range(6)}
    told = [p for p in strategy.ask(40) if p.architecture["c0"] in table]
    for proposal in told:
        strategy.tell([Outcome(proposal, table[str(proposal.architecture["c0"])])])
    by_name = {p.architecture["c0"]: p.architecture for p in told}
    (failed,) = [p for p in strategy.pending.values() if p.architecture["c0"] == "9"]
    strategy.tell([Outcome(failed, failed="no")])
    for preference, order in (([1.0, 0.0], "012345"), ([0.0, 1.0], "543210")):
        batch = [drawn(strategy, by_name[n], np.array(preference)) for n in order]
        rewards = strategy._rewards(
            [*batch, drawn(strategy, failed.architecture, batch[0].preference)]
        )
        # Scaled by what is between the best and the fourth of six: 0 to 1, that one 1/2.
        value = np.arange(6) / (np.arange(6) + 3)
        middle = np.median(value)
        np.testing.assert_allclose(rewards, [*(1 - value / middle), -1], atol=1e-9)


def test_infeasible_networks_come_last_and_are_bounded() -> None:
    goals = Objectives([Objective(Metric("error"), limit=0.5)])
    space = Words([str(i) for i in range(5)])
    strategy = Reinforce(Context(space, goals, np.random.default_rng(0)), batch=100)
    errors = [0.1, 0.2, 0.3, 0.6, 1e9]
    for proposal in strategy.ask(5):
        strategy.tell([Outcome(proposal, error(errors[int(str(proposal.architecture["c0"]))]))])
    networks = sorted(strategy._known, key=lambda a: str(a["c0"]))
    rewards = strategy._rewards([drawn(strategy, a) for a in networks])
    assert rewards[0] == 1 and rewards[2] == 0
    assert 0 < rewards[1] < 1 and rewards[3] == rewards[4] == -1


def test_the_baseline_is_a_moving_average(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = Reinforce(context(space=TOY), batch=2, decay=0.9)
    seen: list[np.ndarray] = []
    monkeypatch.setattr(strategy, "_rewards", lambda batch: np.array([0.4, -0.2]))
    monkeypatch.setattr(strategy, "_improve", lambda batch, advantages: seen.append(advantages))
    for _ in range(4):
        strategy._reward(drawn(strategy, next(every(TOY))))
    first = 0.1 + 0.1 * (0.4 - 0.1)
    first += 0.1 * (-0.2 - first)
    np.testing.assert_allclose(seen[0], [0.3, -0.3])  # the first batch is its own baseline
    np.testing.assert_allclose(seen[1], [0.4 - first, -0.2 - first])


def test_known_draws_are_learned_from_and_not_asked_again() -> None:
    strategy = Reinforce(context(space=TOY), batch=1000, redraws=5)
    first = strategy.ask(3)
    assert len({p.point for p in first}) == 3
    assert not strategy._batch  # what is pending is drawn again and teaches nothing
    for i, proposal in enumerate(first):
        outcome = Outcome(proposal, failed="no") if i == 0 else Outcome(proposal, error(0.1))
        strategy.tell([outcome])
    assert len(strategy._batch) == 3
    more = strategy.ask(3)
    assert not {p.point for p in first} & {p.point for p in more}
    free = strategy._batch[3:]
    assert 0 < len(free) <= 3 * 5
    assert {d.architecture for d in free} <= {p.point for p in first}


def test_mutants_are_no_draws() -> None:
    """Where the policy gives known networks only, others are asked for, which teach it nothing."""
    strategy = Reinforce(context(), batch=1000, redraws=0)
    (proposal,) = strategy.ask(1)
    strategy.tell([Outcome(proposal, error(0.1))])
    strategy._controller.sample = lambda *_: (proposal.architecture, np.zeros(6))  # type: ignore
    (mutant,) = strategy.ask(1)
    assert sum(mutant.architecture[n] != v for n, v in proposal.architecture.items()) == 1
    strategy.tell([Outcome(mutant, error(0.2))])
    assert len(strategy._batch) == 1


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("fails", [False, True])
def test_a_known_space_ends_the_search(cls: type[Policy], slots: int, fails: bool) -> None:
    strategy = cls(context(60, space=TINY), batch=2)
    outcomes = Play(strategy, slots, fails=lambda _: fails).run()
    assert strategy.done
    assert len(outcomes) == len({o.proposal.point for o in outcomes}) == 6


@pytest.mark.parametrize("cls", BOTH)
def test_a_space_without_choices(cls: type[Policy]) -> None:
    assert len(Play(cls(context(9, space=Words()), batch=1)).run()) == 1


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("space", [CELL, Words((6, 3), ["a", "b", "c"], list(range(9)))])
def test_a_snapshot_goes_on_identically(cls: type[Policy], space: Space) -> None:
    """Moments, the open batch, draws in work and all."""
    strategy = cls(context(90, 2, space=space), batch=4)
    play(strategy, both, 30)
    pending = strategy.ask(3)
    text = dumps(strategy.state_dict())
    again = cls(context(90, 2, seed=9, space=space), batch=4)
    again.load_state_dict(loads(text))
    assert dumps(again.state_dict()) == text
    for each in (strategy, again):
        each.tell([Outcome(p, both(p.architecture)) for p in reversed(pending)])
    assert play(strategy, both, 25) == play(again, both, 25)
    assert dumps(again.state_dict()) == dumps(strategy.state_dict())


def both(a: Mapping[str, Any]) -> Mapping[str, float]:
    labels = [float(len(str(v))) + sum(map(ord, str(v))) % 7 for v in a.values()]
    return {"error": sum(labels), "flops": -labels[0] + labels[-1]}


@pytest.mark.slow
@pytest.mark.parametrize("cls", BOTH)
def test_better_than_random_on_a_toy(cls: type[Policy]) -> None:
    ours = [volume(cls(context(300, 2, seed))) for seed in range(5)]
    theirs = [volume(Random(context(300, 2, seed))) for seed in range(5)]
    assert sum(a > b for a, b in zip(ours, theirs, strict=True)) >= 4


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize(
    ("option", "value"),
    [("batch", 0), ("hidden", 0), ("lr", 0.0), ("entropy", -0.1), ("decay", 1.5), ("redraws", -1)],
)
def test_mistakes(cls: type[Policy], option: str, value: float) -> None:
    with pytest.raises(HwnasError, match=rf"search\.{option}: must be"):
        cls(context(), **{option: value})


@pytest.mark.parametrize(("option", "value"), [("epochs", 0), ("clip", 0.0)])
def test_mistakes_of_ppo(option: str, value: float) -> None:
    with pytest.raises(HwnasError, match=rf"search\.{option}: must be"):
        PPO(context(), **{option: value})
