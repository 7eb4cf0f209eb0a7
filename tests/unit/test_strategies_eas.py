"""Efficient architecture search does what its paper says."""

from collections.abc import Callable
from functools import partial
from itertools import product
from math import pi, tan
from typing import Any

import numpy as np
import pytest
import torch

from hwnas.core import (
    Architecture,
    HwnasError,
    Outcome,
    Proposal,
    TensorType,
)
from hwnas.core.state import dumps, loads
from hwnas.search._models.actors import Action, Actors
from hwnas.search.policy.eas import EAS
from hwnas.space.morph import Morph
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.space.nn.network import Network
from hwnas.space.replay import build
from tests.unit import searching

IMAGE = TensorType((1, 8, 8))
SPACE = Morph(IMAGE, 3, channels=2, stages=2)
SEED = Architecture({"0.kind": "stop"})
NET = [("conv 3x3", 8), ("max 2x2 /2", 8), ("conv 5x5", 16), ("global avg", 16)]
ONE = np.ones(1)

Score = Callable[[Architecture], float | None]


context = partial(searching.context, space=SPACE)


def small(seed: int = 0, evaluations: int = 10_000, objectives: int = 1, **options: Any) -> EAS:
    given = {"wider": 1, "deeper": 1, "batch": 4} | options
    return EAS(context(evaluations, objectives, seed), **given)  # type: ignore[arg-type]


def play(strategy: EAS, score: Score, tells: int) -> list[Proposal]:
    def metrics(architecture: Architecture) -> dict[str, float] | None:
        error = score(architecture)
        return None if error is None else {"error": error, "flops": 1 - error}

    return searching.proposals(strategy, metrics, tells)


def number(architecture: Architecture) -> float:
    """In [0, 1), different for each."""
    return int(architecture.key, 16) % 997 / 997


# The actors


@pytest.mark.parametrize("preference", [np.array([1.0, 0.0]), np.array([0.2, 0.8])])
def test_log_probabilities_are_the_frequencies_of_draws(preference: np.ndarray) -> None:
    actors, rng = Actors(2, 0), np.random.default_rng(0)
    for parameter in dict(actors._of.items()).values():
        parameter.data *= 4  # far from even
    n = 500
    wider = [tuple(actors.wider(NET, [0, 2], preference, rng).taken) for _ in range(n)]
    kernels = {0: [3], 1: [3, 5], 2: [1, 3, 5]}  # what is offered depends on the place
    deeper = [
        tuple(actors.deeper(NET, [0, 1, 2], kernels.get, preference, rng).taken) for _ in range(n)
    ]  # type: ignore[arg-type]
    layers = [list(layer) for layer in NET]
    total = {"wider": 0.0, "deeper": 0.0}
    found = [("wider", wider, Action(layers, [0, 2], [*t], [])) for t in product([0, 1], repeat=2)]
    found += [
        ("deeper", deeper, Action(layers, [0, 1, 2], [place, i], list(kernels[place])))
        for place in kernels
        for i in range(len(kernels[place]))
    ]
    for name, drawn, action in found:
        chance = np.exp(actors.log_prob(action, preference))
        total[name] += chance
        share = np.mean([d == tuple(action.taken) for d in drawn])
        assert abs(share - chance) < 5 * np.sqrt(chance * (1 - chance) / n) + 1e-9
    assert list(total.values()) == pytest.approx([1, 1])


def test_the_encoder_sees_order_from_both_sides() -> None:
    actors = Actors(1, 0)
    swapped = [NET[2], NET[1], NET[0], NET[3]]
    there, back = actors.encode(NET, ONE), actors.encode(swapped, ONE)
    assert there.shape == (4, 100)
    assert np.abs(there - back).max(axis=1).min() > 1e-3  # even of the layers that stayed
    longer = actors.encode([*NET, ("linear 3", 3)], ONE)
    forward, backward = there[:, :50], there[:, 50:]
    assert longer[:4, :50] == pytest.approx(forward, abs=1e-6)  # a layer behind is not read yet
    assert np.abs(longer[:4, 50:] - backward).max(axis=1).min() > 1e-5
    wider = actors.encode([NET[0], NET[1], ("conv 5x5", 32), NET[3]], ONE)
    assert np.abs(wider - there).max(axis=1)[2] > 1e-3


def test_the_gradient_is_that_of_reinforce() -> None:
    """By differences of the objective, in some entries of each parameter."""
    actors, rng = Actors(2, 1, hidden=4, embedding=3), np.random.default_rng(0)
    wishes = [np.array([0.3, 0.7]), np.array([1.0, 0.0])]
    episodes = [
        [
            actors.wider(NET, [0, 2], w, rng),
            actors.deeper(NET, [0, 2, -1], lambda _: [3, 5], w, rng),
        ]
        for w in wishes
    ]
    advantages = np.array([1.5, -0.5])

    def total() -> float:
        sums = [
            sum(actors.log_prob(a, w) for a in e) for e, w in zip(episodes, wishes, strict=True)
        ]
        return float(np.mean(advantages * sums))

    actors._of.step = lambda: None  # type: ignore[method-assign,assignment]
    actors.ascend(episodes, wishes, advantages)
    for name, p in actors._of.items():
        assert p.grad is not None
        flat, gradient = p.data.view(-1), p.grad.view(-1).numpy()
        i = int(np.abs(gradient).argmax())
        before = float(flat[i])
        values = []
        for step in (1e-2, -1e-2):
            flat[i] = before + step
            values.append(total())
        flat[i] = before
        slope = (values[0] - values[1]) / 2e-2
        assert gradient[i] == pytest.approx(slope, rel=0.02, abs=1e-4), name


def test_torch_s_own_randomness_is_left_alone() -> None:
    torch.manual_seed(1)
    a = Actors(1, 0).encode(NET, ONE)
    expected = torch.rand(1)
    torch.manual_seed(1)
    assert torch.rand(1) == expected
    assert np.array_equal(Actors(1, 0).encode(NET, ONE), a)
    assert not np.allclose(Actors(1, 1).encode(NET, ONE), a)


# Episodes


def test_an_episode_widens_and_then_deepens() -> None:
    strategy = small(wider=3, deeper=4)
    (first,) = strategy.ask(3)
    assert first.architecture == SEED
    assert strategy.ask(3) == []  # its weights are needed
    strategy.tell([Outcome(first, {"error": 0.5})])
    for proposal in strategy.ask(8):
        assert proposal.parent == first.id
        steps = SPACE.steps(proposal.architecture)
        kinds = [step.kind for step in steps]
        assert kinds == ["widen"] * kinds.count("widen") + ["deepen"] * 4
        assert all(step.detail == 2 for step in steps if step.kind == "widen")
        actions = strategy._episodes[proposal.id][1]
        assert kinds.count("widen") == sum(sum(a.taken) for a in actions if not a.details)
        for action, step in zip(actions[-4:], steps[-4:], strict=True):
            assert action.details[action.taken[1]] == step.detail


def test_actors_are_shown_the_network_as_it_is_then() -> None:
    strategy = small(wider=2, deeper=2)
    play(strategy, number, 1)
    (proposal,) = strategy.ask(1)
    actions = strategy._episodes[proposal.id][1]
    at = 0
    steps = SPACE.steps(proposal.architecture)
    for action in actions:
        picks = {f"{s.number}.{w}": v for s in steps[:at] for w, v in _picks(s).items()}
        network = Architecture({**picks, f"{at}.kind": "stop"})
        graph = [node for node in build(SPACE, network) if node.op]
        assert action.layers == [[n.op.label, n.type.shape[0]] for n in graph if n.op]
        named = [graph[i].id for i in action.places]
        if action.details:
            assert named[action.taken[0]] == steps[at].where
            at += 1
        else:
            wanted = [name for name, taken in zip(named, action.taken, strict=True) if taken]
            assert wanted == [s.where for s in steps[at : at + len(wanted)]]
            at += len(wanted)
    assert at == len(steps)


def _picks(step: Any) -> dict[str, Any]:
    detail = "factor" if step.kind == "widen" else "kernel"
    return {"kind": step.kind, "where": step.where, detail: step.detail}


def test_children_compute_what_their_parents_do() -> None:
    strategy = small(wider=2, deeper=2, evaluations=6, first=0.5)
    weights: dict[int, dict[str, np.ndarray]] = {}
    networks: dict[int, Network] = {}
    x = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    while not strategy.done:
        for proposal in strategy.ask(1):
            network = Network(build(SPACE, proposal.architecture)).eval()
            if proposal.parent is not None:
                parent = next(t for t in strategy._told.values() if t.id == proposal.parent)
                moved = SPACE.transfer(
                    parent.architecture, proposal.architecture, weights[proposal.parent]
                )
                own = network.state_dict()
                assert {n: v.shape for n, v in moved.items()} == {
                    n: tuple(v.shape) for n, v in own.items()
                }
                network.load_state_dict({n: torch.from_numpy(v) for n, v in moved.items()})
                with torch.no_grad():
                    expected = networks[proposal.parent](x)
                    assert torch.allclose(network(x), expected, atol=1e-4)
                    assert proposal.architecture != parent.architecture
            weights[proposal.id] = {n: v.numpy() for n, v in network.state_dict().items()}
            networks[proposal.id] = network
            strategy.tell([Outcome(proposal, {"error": number(proposal.architecture)})])
    assert len(networks) == 6


def test_later_episodes_begin_with_the_best() -> None:
    strategy = small(evaluations=20, first=0.5)
    told = play(strategy, number, 20)
    errors = {p.id: number(p.architecture) for p in told}
    assert [p.parent for p in told[:10]] == [None] + [told[0].id] * 9
    for i in range(10, 20):
        assert told[i].parent == min(list(errors)[:i], key=errors.__getitem__)
        steps = SPACE.steps(told[i].architecture)
        parent = next(p for p in told if p.id == told[i].parent)
        before = SPACE.steps(parent.architecture)
        assert steps[: len(before)] == before


def test_without_the_first_network_children_begin_anew() -> None:
    strategy = small(evaluations=8, first=1.0)
    told = play(strategy, lambda a: None if a == SEED else 0.5, 8)
    assert len(told) == 8
    assert {p.parent for p in told} == {None}


# Learning


def test_rewards_have_a_moving_average_taken_away() -> None:
    strategy = small(batch=2)
    seen: list[np.ndarray] = []
    strategy._actors.ascend = lambda e, p, advantages, entropy: seen.append(advantages)  # type: ignore[method-assign,assignment]
    errors = iter([0.0, 1.0, 0.5, 0.2, 0.6])
    play(strategy, lambda _: next(errors), 5)
    baseline = 0.0
    # The medians of what was told by then: (0, 0.5, 1), (0, 0.2, 0.5, 0.6, 1)
    for got, pair, middle in zip(seen, [(1.0, 0.5), (0.2, 0.6)], [0.5, 0.5], strict=True):
        # The best error is 0. One objective's value is 1.05 of what it is scaled to.
        value = np.array([error / (error + middle) for error in pair])
        rewards = np.array([tan(0.95 * (1 - v) * pi / 2) for v in value])
        baseline += 0.95 * (rewards.mean() - baseline)
        assert got == pytest.approx(rewards - baseline)


def test_what_passes_a_limit_is_worth_less_than_nothing() -> None:
    strategy = EAS(context(limit=0.5), batch=99)
    play(strategy, number, 1)
    rewards = {}
    for error in (0.4, 0.5, 0.6, 5.0):
        (proposal,) = strategy.ask(1)
        strategy.tell([Outcome(proposal, {"error": error})])
    for _, told in strategy._done:
        rewards[told.metrics["error"]] = strategy._reward(told, ONE)
    assert rewards[0.4] > rewards[0.5] > 0 > rewards[0.6] > rewards[5.0] > -20


def chances(strategy: EAS, wish: np.ndarray) -> tuple[float, float]:
    """That the seed's layers are widened, on average, and that a layer has a kernel of 5."""
    layers = [[n.op.label, n.type.shape[0]] for n in build(SPACE, SEED) if n.op]
    places = [0, 2]
    actors = strategy._actors
    widen = [np.exp(actors.log_prob(Action(layers, [p], [1], []), wish)) for p in places]
    five = sum(
        np.exp(actors.log_prob(Action(layers, places, [i, 1], [3, 5]), wish)) for i in range(2)
    )
    return float(np.mean(widen)), float(five)


def test_the_actors_learn_what_is_rewarded() -> None:
    def score(a: Architecture) -> float:
        """Narrow networks with large kernels are good."""
        steps = SPACE.steps(a)
        wide = np.mean([s.kind == "widen" for s in steps]) if steps else 0.5
        return float(wide + 2 * (("kernel", 3) in {(k.split(".")[1], v) for k, v in a.items()})) / 3

    strategy = small(lr=0.03, deeper=2, first=1.0)
    before = chances(strategy, ONE)
    play(strategy, score, 60)
    widen, five = chances(strategy, ONE)
    assert widen < before[0]
    assert five > before[1] + 0.1


def test_preferences_lead_apart() -> None:
    actors, rng = Actors(2, 0, lr=0.02), np.random.default_rng(0)
    wishes = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    for _ in range(25):
        episodes = [[actors.wider(NET, [0, 2], wish, rng)] for wish in wishes * 4]
        shares = np.array([np.mean(action.taken) for (action,) in episodes])
        actors.ascend(episodes, wishes * 4, (shares - 0.5) * np.tile([1, -1], 4))
    layers = [list(layer) for layer in NET]
    yes, no = (np.exp(actors.log_prob(Action(layers, [0], [1], []), wish)) for wish in wishes)
    assert yes > no + 0.3


def test_a_known_network_teaches_without_being_trained() -> None:
    space = Morph(IMAGE, 3, channels=2, stages=2, kinds=["widen", "deepen"], limit=1, kernels=[3])
    # Beside the seed there are four: one of two layers widened, or deepened after one of two
    strategy = EAS(context(space=space), wider=1, deeper=1, batch=3)
    told = play(strategy, number, 50)
    assert strategy.done
    architectures = [p.architecture for p in told]
    assert len(set(architectures)) == len(architectures) <= 7
    assert strategy._baseline != 0


@pytest.mark.parametrize("slots", [1, 3])
def test_a_snapshot_goes_on_identically(slots: int) -> None:
    first, second = (small(seed, objectives=2, evaluations=20) for seed in (0, 1))
    play(first, lambda a: None if int(a.key, 16) % 5 == 0 else number(a), 6)
    first.ask(slots)
    text = dumps(first.state_dict())
    second.load_state_dict(loads(text))
    assert dumps(second.state_dict()) == text
    for strategy in (first, second):
        for proposal in list(strategy.pending.values()):
            strategy.tell([Outcome(proposal, {"error": 0.3, "flops": 0.2})])
    assert play(first, number, 20) == play(second, number, 20)
    assert dumps(first.state_dict()) == dumps(second.state_dict())


# Mistakes


def test_a_space_without_morphisms_is_refused() -> None:
    for space in (NasBench201(IMAGE, 3, cells=1), Morph(IMAGE, 3, kinds=["widen", "add"])):
        with pytest.raises(HwnasError, match="morph"):
            EAS(context(space=space))


@pytest.mark.parametrize(
    ("key", "value"),
    [("wider", -1), ("deeper", -1), ("batch", 0), ("first", 1.5), ("lr", 0.0), ("entropy", -1.0)],
)
def test_mistakes(key: str, value: Any) -> None:
    with pytest.raises(HwnasError, match=rf"search\.{key}"):
        EAS(context(), **{key: value})


def test_some_action_is_needed() -> None:
    with pytest.raises(HwnasError, match=r"search\.wider"):
        EAS(context(), wider=0, deeper=0)
