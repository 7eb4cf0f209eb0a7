"""ENAS trains shared weights and a policy by turns, then scores what the policy draws."""

from itertools import groupby
from typing import Any

import numpy as np
import pytest

from hwnas.core import (
    Architecture,
    Context,
    HwnasError,
    Metric,
    Mixture,
    Objective,
    Objectives,
    Outcome,
    Proposal,
    Space,
    TensorType,
)
from hwnas.core.space import Pick
from hwnas.graph.blocks import conv_norm_relu
from hwnas.graph.graph import Graph
from hwnas.graph.ops.identity import Identity
from hwnas.search.policy._policy import Drawn
from hwnas.search.sharing.enas import ENAS
from hwnas.space.moves import every
from hwnas.space.replay import relax
from hwnas.testing.play import Play
from tests.unit.searching import CELL, FAKE, TINY, architectures, context
from tests.unit.test_supernet import Darts

SHORT = {"rounds": 3, "shared_steps": 4, "controller_steps": 2, "batch": 2}


class Toy(Space):
    """Two choices of two operations."""

    def __init__(self) -> None:
        super().__init__(TensorType((2, 4, 4)), 3)

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        x = g.input
        for name in ("first", "second"):
            x = pick.op(name, x, {"skip": Identity(), "conv": conv_norm_relu(2, 1)})
        return g.finish(x)


TOY = Toy()


def kind(proposal: Proposal) -> str:
    if proposal.score == 0:
        return "shared"
    return "trial" if proposal.is_trial else "controller"


def parameters(strategy: ENAS) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = strategy._controller.state_dict()["parameters"]
    return found


# phases


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("fails", [False, True])
def test_phases_alternate(slots: int, fails: bool) -> None:
    strategy = ENAS(context(5), **SHORT)  # type: ignore[arg-type]
    outcomes = Play(strategy, slots, np.random.default_rng(0), lambda _: fails).run()
    runs = [(k, len(list(group))) for k, group in groupby(kind(o.proposal) for o in outcomes)]
    assert runs == [("shared", 4), ("controller", 2)] * 3 + [("trial", 5)]
    assert strategy.progress == (23, 23)


def test_what_is_asked_for_in_each_phase() -> None:
    for outcome in Play(ENAS(context(5), **SHORT)).run():  # type: ignore[arg-type]
        proposal = outcome.proposal
        point = proposal.point
        if kind(proposal) == "controller":
            assert (proposal.train, proposal.score) == (0, 1)
            assert isinstance(point, Mixture)
            for name, choice in relax(CELL)[1].items():
                (taken,) = point.active[name]
                np.testing.assert_array_equal(point.weights(choice), np.eye(5)[taken])
        else:
            assert proposal.train == (kind(proposal) == "shared")
            assert isinstance(point, Architecture)


def test_inputs_that_are_chosen_are_so_in_the_mixture() -> None:
    space = Darts(TensorType((3, 8, 8)), 5)
    outcomes = Play(ENAS(context(5, space=space), **SHORT)).run()  # type: ignore[arg-type]
    for point in (o.proposal.point for o in outcomes if kind(o.proposal) == "controller"):
        assert isinstance(point, Mixture)
        inputs = relax(space)[1]["inputs3"].options
        taken = [inputs[i] for i in point.active["inputs3"]]
        assert len(taken) == 2
        for i in inputs:
            assert len(point.active[f"{i}-3"]) == (i in taken)


def test_only_scores_of_batches_move_the_policy() -> None:
    strategy = ENAS(context(15), **SHORT)  # type: ignore[arg-type]
    play = Play(strategy)
    moved = []
    strategy._controller.ascend = lambda *_: moved.append(kind(play.told[-1].proposal))  # type: ignore
    play.run()
    assert moved == ["controller"] * 3  # a batch a round


def test_the_networks_to_train_are_drawn_from_the_policy() -> None:
    strategy = ENAS(context(1, space=TOY), rounds=1, shared_steps=60, controller_steps=1)
    bias(strategy, "first", [0.0, 20.0])
    outcomes = Play(strategy).run()
    networks = [o.proposal.architecture for o in outcomes if kind(o.proposal) == "shared"]
    assert {network["first"] for network in networks} == {"conv"}
    assert {network["second"] for network in networks} == {"conv", "skip"}


def bias(strategy: ENAS, choice: str, value: list[float]) -> None:
    """Set the logits that a choice of the toy has to begin with."""
    networks = list(every(TOY))
    wishes = np.ones((len(networks), len(strategy.context.objectives)))
    strategy._controller.evaluate(TOY, networks, wishes)  # makes the parameters
    state = strategy._controller.state_dict()
    (name,) = [name for name in state["parameters"] if name.startswith(f'bias ["{choice}"')]
    state["parameters"][name] = np.array(value, dtype=np.float32)
    strategy._controller.load_state_dict(state)


# the end


def test_candidates_are_distinct_and_the_policy_rests() -> None:
    strategy = ENAS(context(20), **SHORT)  # type: ignore[arg-type]
    play = Play(strategy)
    play.run(18)
    before = parameters(strategy)
    trials = [o.proposal for o in play.run()[18:]]
    assert len({p.architecture for p in trials}) == len(trials) == 20
    assert all((p.train, p.score) == (0, None) for p in trials)
    after = parameters(strategy)
    assert before.keys() <= after.keys()
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_a_closed_policy_still_gives_distinct_candidates_until_there_are_no_more() -> None:
    strategy = ENAS(context(50, space=TOY), **SHORT)  # type: ignore[arg-type]
    bias(strategy, "first", [0.0, 30.0])
    bias(strategy, "second", [0.0, 30.0])
    trials = [o for o in Play(strategy).run() if o.proposal.is_trial]
    assert sorted(map(str, every(TOY))) == sorted(str(o.proposal.point) for o in trials)
    assert dict(trials[0].proposal.architecture) == {"first": "conv", "second": "conv"}


# learning


def test_the_policy_comes_to_prefer_the_better_options() -> None:
    strategy = ENAS(context(20), shared_steps=1)
    trials = [o.proposal.point for o in Play(strategy).run() if o.proposal.is_trial]
    found = [FAKE.value(point, "error") for point in trials]
    random = sorted(FAKE.value(a, "error") for a in architectures(CELL, 300))
    assert np.mean(found) < random[15]  # better than 95 % of random ones


@pytest.mark.slow
def test_one_policy_covers_a_front() -> None:
    strategy = ENAS(context(10, objectives=2), shared_steps=1, controller_steps=60)
    Play(strategy).run()
    rng = np.random.default_rng(0)
    means = []
    for preference in np.array([[0.95, 0.05], [0.05, 0.95]]):
        drawn = [strategy._controller.sample(CELL, preference, rng)[0] for _ in range(40)]
        means.append([np.mean([FAKE.value(a, m) for a in drawn]) for m in ("error", "flops")])
    assert means[0][0] < means[1][0]
    assert means[0][1] > means[1][1]


@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_the_mean_step_is_the_gradient_of_the_expected_reward(
    baseline: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over all networks of a toy, at the biases: p (Q - V), whatever the baseline."""
    strategy = ENAS(
        context(1, space=TOY), rounds=9, shared_steps=1, controller_steps=9, batch=1, entropy=0.0
    )
    bias(strategy, "first", [0.4, -0.3])
    bias(strategy, "second", [-0.8, 0.1])
    networks = list(every(TOY))
    controller, alone = strategy._controller, np.ones((4, 1))
    p = np.exp(controller.evaluate(TOY, networks, alone)[0].sum(1)).astype(float)
    errors = dict(zip(networks, [0.1, 0.5, 0.35, 0.2], strict=True))
    total: dict[str, np.ndarray] = {}
    rewards = []

    def ascend(space, drawn, preferences, weigh, entropy):  # type: ignore[no-untyped-def]
        rewards.append(float(weigh(np.zeros((1, 2)))[0, 0]) + baseline)
        for name, g in controller.gradient(space, drawn, preferences, weigh, entropy).items():
            total[name] = total.get(name, 0.0) + p[networks.index(drawn[0])] * g

    (shared,) = strategy.ask(1)
    strategy.tell([Outcome(shared)])
    monkeypatch.setattr(controller, "ascend", ascend)
    for network in [*networks, *networks]:  # the first time makes the scale of the rewards
        monkeypatch.setattr(strategy, "_draw", lambda a=network: Drawn(a, np.ones(1), np.zeros(2)))
        if len(rewards) == 4:
            total.clear()
        strategy._baseline = baseline
        (proposal,) = strategy.ask(1)
        strategy.tell([Outcome(proposal, {"error": errors[network]})])
    joint, reward = p.reshape(2, 2), np.array(rewards[4:]).reshape(2, 2)
    assert np.ptp(reward) > 1
    first = joint.sum(1)
    q = (joint * reward).sum(1) / first
    expected = {"first": first * (q - first @ q), "second": (joint * (reward - q[:, None])).sum(0)}
    for name, value in expected.items():
        (found,) = [g for key, g in total.items() if key.startswith(f'bias ["{name}"')]
        np.testing.assert_allclose(found, value, atol=1e-5)


# scores


def scored(strategy: ENAS, metrics: dict[str, float] | None) -> Architecture:
    """Tell the next network that the policy is to learn of, and say which it was."""
    (proposal,) = strategy.ask(1)
    while kind(proposal) != "controller":
        strategy.tell([Outcome(proposal)])
        (proposal,) = strategy.ask(1)
    network = strategy._drawn[proposal.id].architecture
    failed = "no" if metrics is None else None
    strategy.tell([Outcome(proposal, metrics or {}, failed=failed)])
    return network


def test_cheap_objectives_are_those_of_the_network() -> None:
    """Not what a profiler gives for the mixture, if it gives any."""
    strategy = ENAS(context(5, objectives=2), shared_steps=1)
    for metrics in ({"error": 0.3}, {"error": 0.2, "flops": 1e9}):
        network = scored(strategy, metrics)
        told = strategy._known[network]
        assert told is not None
        assert told.metrics == {"error": metrics["error"], "flops": FAKE.costs(network)["flops"]}


def test_the_latest_score_counts() -> None:
    strategy = ENAS(context(5, space=TOY), shared_steps=1, controller_steps=40, batch=100)
    scores: dict[Architecture, float] = {}
    for i in range(40):
        error = 1 / (i + 1)
        network = scored(strategy, {"error": error})
        scores.pop(network, None)
        scores[network] = error
    told = {a: t.metrics["error"] for a, t in strategy._known.items() if t}
    assert list(told.items()) == list(scores.items())


def test_a_failure_has_the_worst_reward() -> None:
    strategy = ENAS(context(5), shared_steps=1, controller_steps=9, batch=9)
    networks = [scored(strategy, {"error": e} if e else None) for e in (0.1, 0.5, None, 0.3)]
    batch = [Drawn(a, np.ones(1), np.zeros(6)) for a in networks]
    rewards = strategy._rewards(batch)
    assert rewards[2] == -1
    assert rewards[0] == 1 > rewards[3] > rewards[1] > -1


# mistakes


def test_objectives_that_are_known_by_measuring_only() -> None:
    goals = Objectives([Objective(Metric("error")), Objective(Metric("latency_ms"))])
    strategy = ENAS(Context(CELL, goals, np.random.default_rng(0), costs=FAKE.costs))
    with pytest.raises(HwnasError, match="latency_ms of a network is not known"):
        scored(strategy, {"error": 0.5})


def test_a_space_without_a_supernet_is_refused() -> None:
    with pytest.raises(HwnasError, match="'depth'"):
        ENAS(context(space=TINY))


@pytest.mark.parametrize("option", ["rounds", "shared_steps", "controller_steps", "batch"])
def test_mistakes(option: str) -> None:
    options: dict[str, Any] = {option: 0}
    with pytest.raises(HwnasError, match=rf"search\.{option}: must be at least 1"):
        ENAS(context(), **options)
