"""DARTS finds the best options of a function whose gradient is known."""

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
    Setting,
    TensorType,
)
from hwnas.search.gradient._adam import Adam
from hwnas.search.gradient.darts import Darts
from hwnas.space.chain import Chain
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.testing import FakeEstimator, FakeTask
from hwnas.testing.play import Play
from tests.unit.test_supernet import Darts as DartsSpace

IMAGE = TensorType((1, 4, 4))
SPACE = NasBench201(IMAGE, 3, cells=1, channels=2)
METRICS = FakeEstimator(Setting(SPACE, FakeTask())).metrics


def context(count: int = 1, space: object = SPACE) -> Context:
    goals = Objectives([Objective(m) for m in METRICS[:count]])
    return Context(space, goals, np.random.default_rng(0), evaluations=1)  # type: ignore[arg-type]


def test_it_descends_to_the_best_options() -> None:
    play = Play(Darts(context(), steps=300, lr=0.1, weight_decay=0.0, zeros=True))
    *steps, last = play.run()
    assert len(steps) == 300
    assert all(not o.proposal.is_trial for o in steps)
    best = last.proposal.point
    assert isinstance(best, Architecture)
    # Every factor is positive and enters with a positive slope: the least option of each is best.
    fake = play.estimator
    for name in best:
        gradient = fake.gradient(steps[0].proposal.point, "error")[name]
        choice = fake._choices[name]
        assert best[name] == choice.options[int(np.argmin(gradient))]
    errors = [o.metrics["error"] - 0.5 / 2 for o in steps]
    assert errors[-1] < errors[0]


def test_preference_decides_between_objectives() -> None:
    costs = []
    for preference in ([1.0, 0.0], [0.5, 0.5], [0.0, 1.0]):
        strategy = Darts(context(2), steps=300, lr=0.1, preference=preference)
        last = Play(strategy).run()[-1]
        costs.append((last.metrics["error"], last.metrics["flops"]))
    assert costs[0][0] < costs[2][0]
    assert costs[2][1] < costs[0][1]
    assert costs[0][1] >= costs[1][1] >= costs[2][1]


def test_as_many_inputs_as_are_chosen() -> None:
    space = DartsSpace(TensorType((3, 8, 8)), 5)
    last = Play(Darts(context(space=space), steps=5)).run()[-1]
    point = last.proposal.point
    assert isinstance(point, Architecture)
    taken = point["inputs3"]
    assert isinstance(taken, tuple)
    assert list(taken) == sorted(taken)
    assert {n for n in point if n.endswith("-3")} == {f"{i}-3" for i in taken}


def test_one_step_at_a_time() -> None:
    strategy = Darts(context(), steps=2)
    assert len(strategy.ask(8)) == 1
    assert strategy.ask(8) == []
    assert not strategy.done


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, r"search\.steps"),
        ({"preference": [1.0, 1.0]}, r"search\.preference"),
        ({"preference": [-1.0]}, r"search\.preference"),
    ],
)
def test_mistakes(options: dict[str, object], message: str) -> None:
    with pytest.raises(HwnasError, match=message):
        Darts(context(), **options)  # type: ignore[arg-type]


def test_objectives_without_a_gradient() -> None:
    goals = Objectives([Objective(Metric("latency_ms"))])
    strategy = Darts(Context(SPACE, goals, np.random.default_rng(0)))
    (proposal,) = strategy.ask(1)
    with pytest.raises(HwnasError, match="none of the objectives latency_ms has a gradient"):
        strategy.tell([Outcome(proposal, {"error": 1.0}, {"error": {}})])


def test_a_space_without_a_supernet() -> None:
    with pytest.raises(HwnasError, match="'depth'"):
        Darts(context(space=Chain(IMAGE, 3)))


def test_adam_is_torchs() -> None:
    import torch

    rng = np.random.default_rng(0)
    ours, adam = rng.standard_normal(5), Adam(0.01, (5,))
    theirs = torch.tensor(ours, requires_grad=True)
    optimiser = torch.optim.Adam([theirs], lr=0.01, betas=(0.5, 0.999))
    for _ in range(50):
        gradient = rng.standard_normal(5)
        ours = adam.step(ours, gradient)
        theirs.grad = torch.from_numpy(gradient)
        optimiser.step()
    np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-12)
