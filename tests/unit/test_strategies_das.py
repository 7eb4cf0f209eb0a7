"""DAS descends on continuous sizes of layers, whose two neighbouring options are mixed."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from hwnas.core import Context, Mixture, Objective, Objectives, Outcome, Setting, Space, TensorType
from hwnas.core.device import Device
from hwnas.core.space import Pick
from hwnas.estimate.shared import Shared
from hwnas.graph.graph import Graph
from hwnas.graph.ops.activation import Activation
from hwnas.graph.ops.conv import Conv
from hwnas.graph.ops.global_pool import GlobalPool
from hwnas.graph.ops.linear import Linear
from hwnas.graph.ops.zero import Zero
from hwnas.profile.params import Params
from hwnas.search.gradient._gradient import Gradient
from hwnas.search.gradient.darts import Darts
from hwnas.search.gradient.das import DAS
from hwnas.space.filters import Filters
from hwnas.space.nn.supernet import Supernet
from hwnas.task.classification import Classification
from hwnas.task.task import Recipe, Split, SplitName
from hwnas.testing.play import Play
from tests.unit.test_strategies_gradient import SPACE as EDGES
from tests.unit.test_strategies_gradient import context

LAYERS = Filters(
    TensorType((2, 6, 6)), 3, stages=2, layers=1, channels=3, filters=[2, 4, 6], kernels=[1, 3, 5]
)
RNG = np.random.default_rng


class Kernels(Space):
    """One convolution of a size among several, or none at all."""

    def __init__(self, input: TensorType, outputs: int, sizes: tuple[int, ...] = (1, 3, 5)) -> None:
        super().__init__(input, outputs)
        self.sizes = sizes

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        x = g.add("stem", Conv(6, 1), g.input)
        x = pick.op("kernel", x, {k: Conv(6, k) if k else Zero() for k in self.sizes})
        x = g.add("relu", Activation(), x)
        return g.finish(g.add("classifier", Linear(self.outputs), g.add("pool", GlobalPool(), x)))


IMAGE = TensorType((1, 8, 8))


def places(strategy: Gradient) -> dict[str, float]:
    return {name: float(a[0]) for name, a in strategy._descents[0].parameters.items()}


def put(strategy: Gradient, at: Mapping[str, float]) -> None:
    strategy._descents[0].parameters = {name: np.array([place]) for name, place in at.items()}


class Loss:
    """That of a supernet in double precision, on one batch, by its mixture."""

    def __init__(self, space: Space) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.supernet = Supernet(space).double()
            self.x = torch.randn(8, *space.input.shape, dtype=torch.float64)
        self.y = torch.arange(8) % space.outputs

    def __call__(self, point: Mixture) -> tuple[float, dict[str, np.ndarray]]:
        """The loss and its gradient in the weights."""
        choices = self.supernet.choices
        weights = {
            n: torch.tensor(point.weights(c), requires_grad=True) for n, c in choices.items()
        }
        outputs = self.supernet(self.x, weights, self.supernet.active(point))
        loss = functional.cross_entropy(outputs, self.y)
        found = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
        return loss.item(), dict(zip(weights, (g.numpy() for g in found), strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_in_the_sizes_is_that_of_the_relaxed_network(seed: int) -> None:
    strategy, loss, h = DAS(context(space=LAYERS)), Loss(LAYERS), 1e-6
    assert len(places(strategy)) == 4
    at = {name: RNG(seed + i).uniform(0.05, 1.95) for i, name in enumerate(places(strategy))}
    put(strategy, at)
    point = strategy._propose(strategy._descents[0]).point
    _, given = loss(point)
    for name, choice in strategy._choices.items():
        found = strategy._slope(np.array([at[name]]), choice, point, given[name])
        sides = []
        for step in (h, -h):
            put(strategy, at | {name: at[name] + step})
            sides.append(loss(strategy._propose(strategy._descents[0]).point)[0])
        measured = (sides[0] - sides[1]) / (2 * h)
        assert abs(measured) > 1e-6
        assert found.shape == (1,)
        assert found[0] == pytest.approx(measured, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize(
    ("place", "weights", "computed"),
    [
        (0.0, [1, 0, 0, 0], (0, 1)),
        (1.25, [0, 0.75, 0.25, 0], (1, 2)),
        (2.0, [0, 0, 1, 0], (2, 3)),
        (3.0, [0, 0, 0, 1], (2, 3)),
    ],
)
def test_a_size_is_a_mixture_of_its_two_neighbours(
    place: float, weights: list[float], computed: tuple[int, int]
) -> None:
    strategy = DAS(context(space=Kernels(IMAGE, 3, (1, 3, 5, 7))))
    put(strategy, {"kernel": place})
    point = strategy._propose(strategy._descents[0]).point
    np.testing.assert_allclose(point.weights(strategy._choices["kernel"]), weights)
    assert point.active["kernel"] == computed


def test_only_the_two_neighbours_are_computed() -> None:
    space = Kernels(IMAGE, 3, (1, 3, 5, 7))
    strategy, loss = DAS(context(space=space)), Loss(space)
    put(strategy, {"kernel": 1.25})
    point = strategy._propose(strategy._descents[0]).point
    expected, _ = loss(point)
    for name, parameter in loss.supernet.named_parameters():
        if name.startswith(("ops.kernel:1.", "ops.kernel:7.")):
            parameter.data.fill_(torch.nan)
    found, given = loss(point)
    assert found == expected
    assert np.isfinite(given["kernel"]).all()


def test_a_size_between_two_kernels_is_a_mask_of_the_larger() -> None:
    space = Kernels(IMAGE, 3, (3, 5))
    strategy, loss = DAS(context(space=space)), Loss(space)
    put(strategy, {"kernel": 0.3})
    point = strategy._propose(strategy._descents[0]).point
    small, large = (loss.supernet.ops[f"kernel:{k}"].weight for k in (3, 5))
    filters = large.clone()
    filters[..., 1:4, 1:4] = 0.7 * small + 0.3 * large[..., 1:4, 1:4]
    mask = torch.full((5, 5), 0.3, dtype=torch.float64)
    mask[1:4, 1:4] = 1
    masked = mask * filters
    given = loss.supernet.ops["stem"](loss.x)
    hidden = functional.conv2d(given, masked, padding=2).relu().mean((2, 3))
    outputs = loss.supernet.ops["classifier"](hidden)
    assert functional.cross_entropy(outputs, loss.y).item() == pytest.approx(loss(point)[0])


@pytest.mark.parametrize(
    ("place", "taken"), [(0.0, 1), (0.4, 1), (0.5, 1), (0.6, 3), (1.4, 3), (1.6, 5), (2.0, 5)]
)
def test_the_nearest_option_is_taken_in_the_end(place: float, taken: int) -> None:
    strategy = DAS(context(space=Kernels(IMAGE, 3)))
    put(strategy, {"kernel": place})
    (network,) = strategy._networks()
    assert network["kernel"] == taken


def test_none_at_all_is_a_size_too() -> None:
    strategy = DAS(context(space=Kernels(IMAGE, 3, (0, 1, 3))))
    put(strategy, {"kernel": 0.2})
    (network,) = strategy._networks()
    assert network["kernel"] == 0


@pytest.mark.parametrize("best", range(5))
def test_a_size_finds_the_best_of_a_valley_and_stays_within(best: int) -> None:
    sizes = (1, 3, 5, 7, 9)
    strategy = DAS(context(space=Kernels(IMAGE, 3, sizes)), steps=300, lr=0.05)
    errors = np.abs(np.arange(5) - best) / 5.0
    seen = []
    while not (proposal := strategy.ask(1)[0]).is_trial:
        weights = proposal.point.weights(strategy._choices["kernel"])
        metrics = {"error": float(weights @ errors)}
        strategy.tell([Outcome(proposal, metrics, {"error": {"kernel": errors}})])
        seen.append(places(strategy)["kernel"])
    assert proposal.architecture["kernel"] == sizes[best]
    assert seen[-1] == pytest.approx(best, abs=0.15)
    assert 0 <= min(seen) <= max(seen) <= 4


class Pairs(Classification):
    """Whether equal pixels lie side by side or every pixel is drawn alone: 1x1 cannot tell."""

    recipe = Recipe(batch=32, lr=0.1)
    scale = 1.0

    @property
    def input(self) -> TensorType:
        return IMAGE

    @property
    def labels(self) -> list[str]:
        return ["alone", "pairs"]

    def read(self) -> Mapping[SplitName, Split]:
        return dict(self._splits())

    def _splits(self) -> Iterator[tuple[SplitName, Split]]:
        rng = RNG(0)
        names: tuple[SplitName, ...] = ("train", "valid", "test")
        for name in names:
            y = rng.permutation(np.arange(256) % 2)
            x = rng.choice([-1.0, 1.0], (256, 1, 8, 8)).astype(np.float32)
            doubled = np.repeat(x[..., :4], 2, axis=-1)
            yield name, Split(np.where(y[:, None, None, None] == 1, doubled, x), y)


@pytest.mark.parametrize(("preference", "taken"), [([1.0, 0.0], 3), ([0.0, 1.0], 1)])
def test_a_trained_layer_takes_the_kernel_that_can_tell_or_the_one_that_is_small(
    preference: list[float], taken: int, tmp_path: Any
) -> None:
    task = Pairs()
    space = Kernels(task.input, task.outputs, (1, 3))
    setting = Setting(space, task, Device(threads=1), 0, tmp_path)
    shared, params = Shared(setting, horizon=150), Params(setting)
    goals = Objectives([Objective(m) for m in (shared.metrics[0], *params.metrics)])
    strategy = DAS(Context(space, goals, RNG(0)), steps=150, preference=preference)
    trials = []
    while not strategy.done:
        for outcome in map(params.complete, shared.estimate(strategy.ask(1))):
            strategy.tell([outcome])
            trials += [outcome.proposal] if outcome.proposal.is_trial else []
    (end,) = trials
    assert end.architecture["kernel"] == taken


def test_choices_without_sizes_are_those_of_darts() -> None:
    options = {"steps": 20, "lr": 0.1, "watch": 5}
    sized = DAS(context(space=EDGES), **options)  # type: ignore[arg-type]
    plain = Darts(context(space=EDGES), weight_decay=0.0, **options)  # type: ignore[arg-type]
    trails = [[o.proposal.to_json() for o in Play(s).run()] for s in (sized, plain)]
    assert trails[0] == trails[1]
    assert "this is DARTS" in sized.warnings[0]
    assert not DAS(context(space=LAYERS)).warnings


def test_curvature_is_measured_in_the_sizes() -> None:
    strategy = DAS(context(space=LAYERS), watch=1)
    play, names, h = Play(strategy), list(places(strategy)), 1e-3
    at, vector = places(strategy), strategy._descents[0].curvature._vector

    def value(moved: np.ndarray) -> float:
        steps = zip(names, moved, strict=True)
        parameters = {n: np.array([at[n] + step]) for n, step in steps}
        return play.estimator.value(strategy._mixture(parameters), "error")

    strategy._watch.load([0])
    for _ in range(2):  # one round
        (proposal,) = strategy.ask(1)
        given = play.estimator.gradient(proposal.point, "error")
        strategy.tell([Outcome(proposal, {"error": 0.0}, {"error": given})])
    eye = h * np.eye(len(names))
    hessian = np.array(
        [[value(a + b) - value(a - b) - value(b - a) + value(-a - b) for b in eye] for a in eye]
    ) / (4 * h * h)
    expected = hessian @ vector
    expected -= vector * (vector @ expected)
    np.testing.assert_allclose(
        strategy._descents[0].curvature._vector, expected / np.linalg.norm(expected), atol=1e-6
    )


def test_sizes_survive_a_preference_front() -> None:
    strategy = DAS(context(2, LAYERS), steps=400, lr=0.05, preferences=3)
    found = [o for o in Play(strategy).run() if o.proposal.is_trial]
    best, cheapest = (min(found, key=lambda o: o.metrics[m]) for m in ("error", "flops"))
    assert best.metrics["flops"] > cheapest.metrics["flops"]
    assert 0 <= strategy.diagnostics["entropy"] <= 1
