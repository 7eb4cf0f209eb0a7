"""The gradient methods estimate the gradients that their papers say, and several preferences."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from hwnas.core import (
    Architecture,
    Context,
    HwnasError,
    Mixture,
    Objective,
    Objectives,
    Outcome,
    Setting,
    Space,
    TensorType,
)
from hwnas.core.proposal import Proposal
from hwnas.core.space import Pick
from hwnas.graph.graph import Graph
from hwnas.graph.ops.identity import Identity
from hwnas.graph.ops.linear import Linear
from hwnas.graph.ops.sum import Sum
from hwnas.graph.ops.zero import Zero
from hwnas.search.gradient._curvature import Curvature
from hwnas.search.gradient._descent import Descent
from hwnas.search.gradient._gradient import Gradient
from hwnas.search.gradient._softmax import softmax
from hwnas.search.gradient.darts import Darts
from hwnas.search.gradient.das import DAS
from hwnas.search.gradient.mask_connect import MaskConnect
from hwnas.search.gradient.proxyless import Proxyless
from hwnas.search.gradient.snas import SNAS
from hwnas.space.darts import Darts as DartsCells
from hwnas.space.replay import options_of, relax
from hwnas.testing import FakeEstimator, FakeTask
from hwnas.testing.play import Play
from tests.unit.test_supernet import Darts as DartsSpace


class Edges(Space):
    """Three choices, of 4, 3 and 2 operations: 24 networks."""

    def __init__(self) -> None:
        super().__init__(TensorType((3,)), 3)

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        ops = {"a": Linear(3), "b": Linear(3), "skip": Identity(), "none": Zero()}
        x = g.input
        for i, names in enumerate((("a", "b", "skip", "none"), ("a", "b", "skip"), ("b", "skip"))):
            with g.scope(f"edge{i}"):
                x = g.add("sum", Sum(), x, pick.op(f"e{i}", x, {n: ops[n] for n in names}))
        return g.finish(g.add("classifier", Linear(self.outputs), x))


SPACE = Edges()
FAKE = FakeEstimator(Setting(SPACE, FakeTask()))
CHOICES = FAKE._choices
RNG = np.random.default_rng
ALL: list[type[Gradient]] = [Darts, DAS, SNAS, Proxyless, MaskConnect]


def context(count: int = 1, space: Space = SPACE, seed: int = 0) -> Context:
    goals = Objectives([Objective(m) for m in FAKE.metrics[:count]])
    return Context(space, goals, RNG(seed), evaluations=20)


def outcome(proposal: Proposal) -> Outcome:
    point = proposal.point
    gradients = {"error": FAKE.gradient(point, "error")} if proposal.gradient else {}
    return Outcome(proposal, {"error": FAKE.value(point, "error")}, gradients)


def expected(parameters: dict[str, np.ndarray]) -> float:
    """The mean error of networks drawn by the softmax of parameters, over all of them."""
    chances = {n: softmax(a) for n, a in parameters.items()}
    total = 0.0
    for indices in product(*(range(len(a)) for a in parameters.values())):
        taken = dict(zip(parameters, indices, strict=True))
        one_hot = {n: np.eye(len(parameters[n]))[i] for n, i in taken.items()}
        weight = np.prod([chances[n][i] for n, i in taken.items()])
        total += weight * FAKE.value(Mixture(one_hot), "error")
    return total


def slopes(function: Any, parameters: dict[str, np.ndarray], h: float = 1e-5) -> dict[str, Any]:
    """By central differences."""
    found = {}
    for name, a in parameters.items():
        steps = h * np.eye(len(a))
        found[name] = np.array(
            [
                (function(parameters | {name: a + d}) - function(parameters | {name: a - d}))
                / (2 * h)
                for d in steps
            ]
        )
    return found


def begun(cls: type[Gradient], **options: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """A strategy with parameters that are far from even."""
    strategy = cls(context(), **options)
    rng = RNG(5)
    parameters = {n: rng.normal(size=len(c.options)) for n, c in CHOICES.items()}
    strategy._descents[0].parameters = parameters
    return strategy, parameters


def test_snas_differentiates_the_draw_exactly() -> None:
    strategy, parameters = begun(SNAS, temperature=0.7, steps=10)
    noise = {n: RNG(3).gumbel(size=len(a)) for n, a in parameters.items()}

    def drawn(at: dict[str, np.ndarray]) -> Mixture:
        return Mixture({n: softmax((a + noise[n]) / 0.7) for n, a in at.items()})

    point = drawn(parameters)
    given = FAKE.gradient(point, "error")
    exact = slopes(lambda at: FAKE.value(drawn(at), "error"), parameters)
    for name, choice in CHOICES.items():
        found = strategy._slope(parameters[name], choice, point, given[name])
        np.testing.assert_allclose(found, exact[name], atol=1e-8)


def test_snas_draws_the_options_by_their_probabilities_as_it_gets_cold() -> None:
    strategy, parameters = begun(SNAS, temperature=0.01, coldest=0.01, steps=10)
    values, counts = [], {n: np.zeros(len(a)) for n, a in parameters.items()}
    for _ in range(4000):
        point = strategy._propose(strategy._descents[0]).point
        values.append(FAKE.value(point, "error"))
        for name, choice in CHOICES.items():
            counts[name] += point.weights(choice)
    assert np.mean(values) == pytest.approx(expected(parameters), abs=0.01)
    for name, a in parameters.items():
        np.testing.assert_allclose(counts[name] / 4000, softmax(a), atol=0.03)


def test_snas_cools_down() -> None:
    strategy = SNAS(context(), steps=5, temperature=2.0, coldest=0.5)
    seen = []
    while strategy._step < 5:
        seen.append(strategy.temperature)
        strategy.tell([outcome(p) for p in strategy.ask(1)])
    np.testing.assert_allclose(seen, np.linspace(2.0, 0.5, 5))


def test_proxyless_pairs_are_unbiased() -> None:
    """Over every pair and gate, weighed by their chances, it is the gradient of the mean."""
    strategy, parameters = begun(Proxyless, unbiased=True)
    exact = slopes(expected, parameters)
    chances = {n: softmax(a) for n, a in parameters.items()}
    for name, choice in CHOICES.items():
        p = chances[name]
        # The other choices enter by their means, because the error is linear in the gates of each.
        total = np.zeros(len(p))
        for i, j in product(range(len(p)), repeat=2):
            if i == j:
                continue
            drawn = p[i] * p[j] / (1 - p[i])
            pair = tuple(sorted((i, j)))
            mean = Mixture(chances, {n: pair if n == name else (0, 1) for n in chances})
            given = FAKE.gradient(mean, "error")[name]
            total += drawn * strategy._slope(parameters[name], choice, mean, given)
        np.testing.assert_allclose(total, exact[name], atol=1e-8)


def test_proxyless_draws_its_pairs_without_replacement() -> None:
    strategy, parameters = begun(Proxyless)
    strategy._turn = 1
    p = softmax(parameters["e0"])
    found = np.zeros((4, 4))
    taken = np.zeros(4)
    for _ in range(4000):
        point = strategy._propose(strategy._descents[0]).point
        i, j = point.active["e0"]
        found[i, j] += 1
        assert set(np.flatnonzero(point.weights(CHOICES["e0"]))) < {i, j}
        taken += point.weights(CHOICES["e0"])
    for i in range(4):
        for j in range(i + 1, 4):
            exact = p[i] * p[j] * (1 / (1 - p[i]) + 1 / (1 - p[j]))
            assert found[i, j] / 4000 == pytest.approx(exact, abs=0.03)


def test_proxyless_leaves_the_worth_of_the_pair() -> None:
    strategy, _ = begun(Proxyless, lr=0.5)
    strategy.tell([outcome(p) for p in strategy.ask(1)])
    before = {n: a.copy() for n, a in strategy._descents[0].parameters.items()}
    (proposal,) = strategy.ask(1)
    strategy.tell([outcome(proposal)])
    for name, after in strategy._descents[0].parameters.items():
        pair = list(proposal.point.active[name])
        others = [i for i in range(len(after)) if i not in pair]
        assert not np.allclose(after[pair], before[name][pair])
        assert np.array_equal(after[others], before[name][others])
        np.testing.assert_allclose(softmax(after)[others], softmax(before[name])[others])


def test_reinforce_is_unbiased() -> None:
    """Over every network, weighed by its chance, whatever the baseline is."""
    for baseline in (0.0, 0.7):
        strategy, parameters = begun(Proxyless, method="reinforce", samples=1)
        exact = slopes(expected, parameters)
        chances = {n: softmax(a) for n, a in parameters.items()}
        total = {n: np.zeros(len(a)) for n, a in parameters.items()}
        for indices in product(*(range(len(a)) for a in parameters.values())):
            taken = dict(zip(parameters, indices, strict=True))
            one_hot = {n: np.eye(len(parameters[n]))[i] for n, i in taken.items()}
            weight = np.prod([chances[n][i] for n, i in taken.items()])
            climbed: dict[str, np.ndarray] = {}
            descent = strategy._descents[0]
            descent.step = lambda given, to=climbed, at=parameters: to.update(given) or at
            strategy._turn, strategy._baselines = 1, [baseline]
            point = Mixture(one_hot)
            told = Outcome(Proposal(0, point, 0, 1), {"error": FAKE.value(point, "error")})
            strategy._learn(descent, told)
            for name, slope in climbed.items():
                total[name] += weight * slope
        first = strategy._scale["error"]
        for name in parameters:
            if baseline == 0.0:
                assert first > 0
            np.testing.assert_allclose(total[name], exact[name] / first, atol=1e-8)


def test_mask_connect_takes_k_by_its_masks() -> None:
    space = DartsSpace(TensorType((3, 8, 8)), 5)
    strategy = MaskConnect(context(space=space))
    masks = strategy._descents[0].parameters
    assert all((a == 0.5).all() for a in masks.values())
    masks["inputs3"] = np.array([1.0, 0.0, 1.0])[: len(masks["inputs3"])]
    for _ in range(20):
        point = strategy._propose(strategy._descents[0]).point
        for choice in strategy._choices.values():
            weights = point.weights(choice)
            assert set(weights) <= {0.0, 1.0}
            assert weights.sum() == (choice.k or 1)
        assert point.weights(strategy._choices["inputs3"])[1] == 0


def test_masks_stay_masks_and_find_the_best() -> None:
    strategy = MaskConnect(context(), steps=400, lr=0.02)
    last = Play(strategy).run()[-1]
    for a in strategy._descents[0].parameters.values():
        assert ((a >= 0) & (a <= 1)).all()
    assert last.metrics["error"] - 0.5 == pytest.approx(least(), abs=0.05)


def least() -> float:
    nets = product(*(c.options for c in CHOICES.values()))
    return min(
        FAKE.value(Architecture(dict(zip(CHOICES, net, strict=True))), "error") for net in nets
    )


@pytest.mark.parametrize("method", ["gradient", "reinforce"])
def test_proxyless_finds_the_best(method: Any) -> None:
    strategy = Proxyless(context(), steps=400, lr=0.05, method=method)
    last = Play(strategy).run()[-1]
    assert last.metrics["error"] - 0.5 == pytest.approx(least(), abs=0.05)


@pytest.mark.parametrize("cls", ALL)
def test_several_preferences_end_with_a_front(cls: type[Gradient]) -> None:
    strategy = cls(context(2), steps=600, lr=0.05, preferences=4)  # type: ignore[call-arg]
    outcomes = Play(strategy).run()
    wishes = np.array([list(d.wish.values()) for d in strategy._descents])
    assert wishes.shape == (4, 2)
    assert (wishes > 0).all()
    np.testing.assert_allclose(wishes.sum(axis=1), 1)
    found = [o for o in outcomes if o.proposal.is_trial]
    assert 2 <= len(found) <= 4
    best, cheapest = (min(found, key=lambda o: o.metrics[m]) for m in ("error", "flops"))
    assert best is not cheapest
    assert best.metrics["flops"] > cheapest.metrics["flops"]


@pytest.mark.parametrize("lowered", [0.0, 50.0])
def test_the_largest_eigenvalue(lowered: float) -> None:
    rng = RNG(1)
    a = rng.standard_normal((6, 6))
    # Lowered along one direction by more than any other curves: the largest in size is negative.
    hessian = a @ a.T - lowered * np.outer(a[0], a[0]) / (a[0] @ a[0])
    curvature = Curvature(6, rng)
    values = []
    while len(values) < 8:
        value = curvature.learn(hessian @ curvature.offset + 3.0)
        if value is not None:
            values.append(value)
    assert values[-1] == pytest.approx(np.linalg.eigvalsh(hessian).max(), rel=1e-3)


def test_the_eigenvalue_is_that_of_the_loss_in_the_parameters() -> None:
    strategy, parameters = begun(Darts, steps=8, watch=1, lr=1e-9, weight_decay=0.0)
    Play(strategy).run()

    def loss(at: dict[str, np.ndarray]) -> float:
        return FAKE.value(Mixture({n: softmax(a) for n, a in at.items()}), "error")

    names = list(parameters)

    def gradient(at: dict[str, np.ndarray]) -> np.ndarray:
        found = slopes(loss, at, 1e-4)
        return np.concatenate([found[n] for n in names])

    rows = []
    for name in names:
        for d in 1e-3 * np.eye(len(parameters[name])):
            ahead, back = (parameters | {name: parameters[name] + s * d} for s in (1, -1))
            rows.append((gradient(ahead) - gradient(back)) / 2e-3)
    values = np.linalg.eigvalsh(np.array(rows))
    assert strategy._descents[0].eigenvalues[-1] == pytest.approx(values.max(), rel=0.05)
    assert strategy.diagnostics["eigenvalue"] == strategy._descents[0].eigenvalues[-1]


def test_early_stopping_returns_to_where_it_was_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    descent = Descent({"c": np.zeros(2)}, {"error": 1.0}, 0.1, (0.5, 0.999), RNG(0))
    eigenvalues = iter([1.0, 1.1, 1.2, 2.0, 9.0])
    monkeypatch.setattr(descent.curvature, "learn", lambda _: next(eigenvalues))
    for i in range(3):
        descent.parameters = {"c": np.full(2, float(i))}
        assert descent.measure({"c": np.zeros(2)}, 0.75, 2)
        assert not descent.resting
    descent.parameters = {"c": np.full(2, 3.0)}
    descent.measure({"c": np.zeros(2)}, 0.75, 2)
    assert descent.resting
    assert descent.parameters["c"].tolist() == [1.0, 1.0]


def test_a_single_large_eigenvalue_does_not_stop_a_search() -> None:
    descent = Descent({"c": np.zeros(2)}, {"error": 1.0}, 0.1, (0.5, 0.999), RNG(0))
    descent.eigenvalues = [1.0, 2.0, 1.5, 0.5, 3.0, 1.0]
    assert descent.growth(3) == 1.0  # though the last but one is 1.5 times any before
    assert descent.growth(1) == pytest.approx(1 / 3)
    assert descent.growth(4) == 0.0


def test_a_search_that_rests_ends_early() -> None:
    strategy = Darts(context(), steps=1000, watch=2, stop=0.75, patience=1)
    for descent in strategy._descents:
        descent.eigenvalues = [1e-12]
        descent._kept = [dict(descent.parameters)]
    outcomes = Play(strategy).run()
    assert len(outcomes) < 20
    assert outcomes[-1].proposal.is_trial


def test_a_measurement_that_fails_is_left_out() -> None:
    strategy = Darts(context(), steps=4, watch=2)
    seen = []
    while not strategy.done:
        (proposal,) = strategy.ask(1)
        measures = not proposal.is_trial and proposal.train == 0
        strategy.tell([Outcome(proposal, failed="no") if measures else outcome(proposal)])
        seen.append("trial" if proposal.is_trial else "measure" if measures else "step")
    assert seen == ["step", "step", "measure", "step", "step", "measure", "trial"]
    assert strategy._descents[0].eigenvalues == []


def test_growth_is_told_with_what_to_do() -> None:
    strategy = Darts(context(), watch=2, patience=1)
    strategy._descents[0].eigenvalues = [1.0, 1.3]
    assert strategy.warnings == []  # less than 1 / 0.75
    strategy._descents[0].eigenvalues = [1.0, 1.5]
    (warning,) = strategy.warnings
    assert "grown 1.5 times" in warning
    strategy = Darts(context(), watch=2, patience=1, stop=0.5)
    strategy._descents[0].eigenvalues = [1.0, 1.5]
    assert strategy.warnings == []  # less than 1 / 0.5


def test_diagnostics_and_what_to_do() -> None:
    strategy, parameters = begun(Darts)
    strategy._step = 100
    assert 0 < strategy.diagnostics["entropy"] < 1
    for name, choice in CHOICES.items():
        parameters[name][:] = [5.0 * (o == "skip") for o in choice.options]
    assert strategy.diagnostics["skip_share"] == 1.0
    assert strategy.diagnostics["entropy"] < 0.3
    (warning,) = strategy.warnings
    assert "collapses" in warning
    assert "stop: 0.75" in warning
    assert list(Darts(context()).warnings) == []


def test_darts_takes_no_zero_operation_unless_told_so() -> None:
    def ended(**options: bool) -> tuple[list[Any], float]:
        strategy = Darts(context(), steps=100, **options)
        for name, choice in CHOICES.items():
            order = ("none", "skip", "a", "b")
            strength = [4.0 - order.index(str(o)) for o in choice.options]
            strategy._descents[0].parameters[name][:] = strength
        (network,) = strategy._networks()
        return [network[name] for name in CHOICES], strategy.diagnostics["skip_share"]

    assert ended() == (["skip", "skip", "skip"], 1.0)
    assert ended(zeros=True) == (["none", "skip", "skip"], 2 / 3)


def test_zero_operations_are_known_in_both_cells() -> None:
    space = DartsCells(TensorType((3, 16, 16)), 10, cells=3, channels=4)
    graph, choices = relax(space)
    zeros = options_of(graph, Zero)
    operations = {name for name, choice in choices.items() if choice.k is None}
    assert set(zeros) == operations
    for name in operations:
        assert [choices[name].options[i] for i in zeros[name]] == ["none"]


@pytest.mark.parametrize("cls", ALL)
def test_mistakes(cls: Any) -> None:
    for options, message in (
        ({"steps": 0}, r"search\.steps"),
        ({"preferences": 0}, r"search\.preferences"),
        ({"stop": 0.75}, r"search\.watch"),
        ({"watch": -1}, r"search\.watch"),
        ({"watch": 1, "stop": -1.0}, r"search\.stop"),
        ({"patience": 0}, r"search\.patience"),
        ({"preference": [1.0, 2.0]}, r"search\.preference"),
    ):
        with pytest.raises(HwnasError, match=message):
            cls(context(), **options)
