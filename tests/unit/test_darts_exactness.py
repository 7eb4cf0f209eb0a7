"""DARTS through ask, tell and the shared estimator is the paper's algorithm, to 1e-6.

The other side of the comparison is algorithm 1 of Liu et al. 2019 in plain torch: architecture
parameters with ``requires_grad``, softmax inside the graph, SGD written out, torch's own Adam.
It shares data, initial weights and the supernet's forward pass with the tool, nothing else.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from hwnas.core import Context, Device, Objective, Objectives, Setting, Space
from hwnas.estimate.nn.batches import Batches
from hwnas.estimate.shared import Shared
from hwnas.search.gradient.darts import Darts
from hwnas.space.darts import Darts as DartsSpace
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.space.nas_bench_macro import NasBenchMacro
from hwnas.space.nn.supernet import Supernet
from hwnas.testing import FakeTask

STEPS, HORIZON, LR, ALPHA_LR, CLIP = 20, 25, 0.1, 0.05, 5.0
DOUBLE = Device(precision="float64")
TASK = FakeTask()
MOMENTUM, DECAY = TASK.recipe.momentum, TASK.recipe.weight_decay
SPACES: dict[str, Space] = {
    "nas_bench_201": NasBench201(TASK.input, TASK.outputs, cells=1, channels=2),
    "darts": DartsSpace(TASK.input, TASK.outputs, cells=2, channels=2, nodes=2),
    "nas_bench_macro": NasBenchMacro(TASK.input, TASK.outputs, channels=2, head=8),
}


@dataclass
class Trace:
    """What is compared."""

    alpha_gradients: list[dict[str, np.ndarray]] = field(default_factory=list)
    alphas: dict[str, np.ndarray] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)


def ours(
    space: Space, order: int, steps: int = STEPS
) -> tuple[Trace, dict[str, np.ndarray], dict[str, Tensor]]:
    """The tool's own trace, and the alphas and weights that it began with."""
    setting = Setting(space, TASK, DOUBLE, seed=4)
    estimator = Shared(setting, horizon=HORIZON, lr=LR)
    rng = np.random.default_rng(4)
    context = Context(space, Objectives([Objective(TASK.metrics[0])]), rng, evaluations=1)
    strategy = Darts(context, steps=STEPS, order=order, lr=ALPHA_LR)  # type: ignore[arg-type]
    descent = strategy._descents[0]
    begin = {n: a.copy() for n, a in descent.parameters.items()}
    supernet = estimator._sharer.supernet
    weights = {n: w.clone() for n, w in supernet.state_dict().items()}
    trace, moments = Trace(), {n: np.zeros_like(a) for n, a in begin.items()}
    for _ in range(steps):
        before = dict(descent.parameters)
        (outcome,) = estimator.estimate(strategy.ask(1))
        assert outcome.failed is None
        strategy.tell([outcome])
        adam = descent.state_dict()["adam"]
        # Adam's first moment is 0.5 m + 0.5 (g + decay alpha): it shows which g it was given.
        trace.alpha_gradients.append(
            {n: 2 * adam[n]["m"] - moments[n] - 1e-3 * before[n] for n in before}
        )
        moments = {n: adam[n]["m"].copy() for n in before}
        trace.losses.append(outcome.metrics["error"])
    trace.alphas = dict(descent.parameters)
    trace.weights = {n: p.detach().clone() for n, p in supernet.named_parameters()}
    return trace, begin, weights


def papers(
    space: Space, order: int, begin: dict[str, np.ndarray], initial: dict[str, Tensor]
) -> Trace:
    """Algorithm 1, by automatic differentiation from end to end."""
    train = Batches(TASK, "train", DOUBLE, 4)
    valid = Batches(TASK, "valid", DOUBLE, 5)
    net = Supernet(space).double()
    net.load_state_dict(initial)
    net.train()
    w = {n: p.detach().clone().requires_grad_() for n, p in net.named_parameters()}
    v = {n: torch.zeros_like(p) for n, p in w.items()}
    alphas = {n: torch.tensor(a, requires_grad=True) for n, a in begin.items()}
    adam = torch.optim.Adam(alphas.values(), lr=ALPHA_LR, betas=(0.5, 0.999), weight_decay=1e-3)
    every = {n: tuple(range(len(a))) for n, a in begin.items()}

    def loss(weights: dict[str, Tensor], batch: tuple[Tensor, Tensor]) -> Tensor:
        mixture = {n: torch.softmax(a, 0) for n, a in alphas.items()}
        outputs = functional_call(net, weights, (batch[0], mixture, every))
        return torch.nn.functional.cross_entropy(outputs, batch[1])

    def rate(step: int) -> float:
        return LR * 0.5 * (1 + math.cos(math.pi * (step + 1) / (HORIZON + 1)))

    trace = Trace()
    for t in range(STEPS):
        # A step of the weights: clipped gradient, L2 decay, momentum.
        found = torch.autograd.grad(loss(w, train.training(t)), list(w.values()))
        norm = math.sqrt(sum(float((g**2).sum()) for g in found))
        with torch.no_grad():
            for (n, p), g in zip(w.items(), found, strict=True):
                clipped = g * min(1.0, CLIP / (norm + 1e-6))
                v[n] = MOMENTUM * v[n] + clipped + DECAY * p
                p.sub_(rate(t) * v[n])
        # The gradient of the validation loss in alpha, at w or at w after a virtual step.
        at = w
        if order == 2:
            inner = loss(w, train.training(t + 1))
            found = torch.autograd.grad(inner, list(w.values()), create_graph=True)
            at = {
                n: p - rate(t + 1) * (MOMENTUM * v[n] + g + DECAY * p)
                for (n, p), g in zip(w.items(), found, strict=True)
            }
        outer = loss(at, valid.training(t + 1))
        adam.zero_grad()
        for a, g in zip(alphas.values(), gradients(outer, alphas), strict=True):
            a.grad = g
        trace.alpha_gradients.append({n: a.grad.numpy().copy() for n, a in alphas.items()})  # type: ignore[union-attr]
        trace.losses.append(float(outer.detach()))
        adam.step()
    trace.alphas = {n: a.detach().numpy() for n, a in alphas.items()}
    trace.weights = {n: p.detach() for n, p in w.items()}
    return trace


def gradients(loss: Tensor, alphas: dict[str, Tensor]) -> Iterator[Tensor]:
    yield from torch.autograd.grad(loss, list(alphas.values()))


@pytest.mark.parametrize(
    "name",
    ["nas_bench_201", *(pytest.param(n, marks=pytest.mark.slow) for n in list(SPACES)[1:])],
)
@pytest.mark.parametrize("order", [1, 2])
def test_twenty_steps_equal_direct_autograd(order: int, name: str) -> None:
    space = SPACES[name]
    got, begin, initial = ours(space, order)
    expected = papers(space, order, begin, initial)
    for mine, theirs in zip(got.alpha_gradients, expected.alpha_gradients, strict=True):
        for name, gradient in theirs.items():
            np.testing.assert_allclose(mine[name], gradient, rtol=0, atol=1e-6)
    np.testing.assert_allclose(got.losses, expected.losses, rtol=0, atol=1e-6)
    for name, alpha in expected.alphas.items():
        np.testing.assert_allclose(got.alphas[name], alpha, rtol=0, atol=1e-6)
        assert np.abs(alpha - begin[name]).max() > 0.05  # they did move
    assert got.weights.keys() == expected.weights.keys()
    for name, weight in expected.weights.items():
        torch.testing.assert_close(got.weights[name], weight, rtol=0, atol=1e-6)
    moved = max(float((got.weights[n] - initial[n]).abs().max()) for n in got.weights)
    assert moved > 0.05


def test_the_orders_differ() -> None:
    """Else the comparison above would show nothing about the second."""
    space = SPACES["nas_bench_201"]
    first, second = ours(space, 1, 1)[0], ours(space, 2, 1)[0]
    gap = max(
        float(np.abs(first.alpha_gradients[0][n] - g).max())
        for n, g in second.alpha_gradients[0].items()
    )
    assert gap > 1e-3


def test_weight_decay_is_an_option() -> None:
    space = SPACES["nas_bench_201"]
    context = Context(space, Objectives([Objective(TASK.metrics[0])]), np.random.default_rng(0))
    proposal = context.propose(sample(space, np.random.default_rng(0)), train=1, score=0)

    def after(decay: float | None) -> tuple[Tensor, Tensor]:
        estimator = Shared(Setting(space, TASK, DOUBLE), horizon=HORIZON, weight_decay=decay, lr=LR)
        stem = next(estimator._sharer.supernet.parameters())
        before = stem.detach().clone()
        list(estimator.estimate([proposal]))
        return before, stem.detach()

    begin, task = after(None)
    _, more = after(DECAY + 0.5)
    rate = LR * 0.5 * (1 + math.cos(math.pi / (HORIZON + 1)))
    torch.testing.assert_close(task - more, rate * 0.5 * begin)
    assert torch.equal(after(DECAY)[1], task)
