"""Training goes on where it stopped, to the last bit, and says so when it breaks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hwnas.core import Device, HwnasError, Outcome, Proposal, Setting
from hwnas.estimate.nn import checkpoint
from hwnas.estimate.nn.batches import Batches
from hwnas.estimate.nn.learner import Learner, Schedule
from hwnas.estimate.train import Train
from hwnas.space.nas_bench_201 import NasBench201, from_string
from hwnas.space.replay import build
from hwnas.testing import FakeTask
from hwnas.testing.estimator import PoisonedTask

TASK = FakeTask()
SPACE = NasBench201(TASK.input, TASK.outputs, cells=1, channels=2)
POINT = from_string(
    "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|"
)
GRAPH = build(SPACE, POINT)


def learner(seed: int = 0) -> Learner:
    return Learner(GRAPH, TASK, Device(), seed)


def batches(split: str = "train") -> Batches:
    return Batches(TASK, split, Device(), 0)  # type: ignore[arg-type]


def assert_equal(a: Learner, b: Learner) -> None:
    ours, theirs = a.network.state_dict(), b.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert a.score(batches("valid")) == b.score(batches("valid"))
    assert a.curve == b.curve
    assert (a.spent.train, a.spent.steps) == (b.spent.train, b.spent.steps)


@pytest.mark.parametrize("saved_after", [0, 1, 2, 3])
def test_training_goes_on_exactly(saved_after: int, tmp_path: Path) -> None:
    path = tmp_path / "weights" / "0.safetensors"
    whole = learner()
    whole.train(batches(), 4, 4)
    first = learner()
    first.train(batches(), saved_after, 4)
    first.save(path)
    second = learner(seed=99)  # other initial weights, all of them replaced
    second.load(path)
    second.train(batches(), 4 - saved_after, 4)
    assert_equal(second, whole)
    assert whole.spent.train == 4
    assert whole.spent.steps == 4 * 3
    assert len(whole.curve) == 4
    assert not list(tmp_path.rglob("*.partial"))


def test_it_learns() -> None:
    trained = learner()
    before = trained.score(batches("valid"))["error"]
    trained.train(batches(), 12, 12)
    assert trained.score(batches("valid"))["error"] < 0.1 < before
    assert trained.curve[-1] < trained.curve[0] / 2


def test_scoring_changes_nothing() -> None:
    a, b = learner(), learner()
    a.train(batches(), 1, 2)
    b.train(batches(), 1, 2)
    a.score(batches("valid"))
    a.train(batches(), 1, 2)
    b.train(batches(), 1, 2)
    assert_equal(a, b)


def test_initial_weights_do_not_touch_the_global_generator() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    learner()
    batches().training(0)
    assert torch.equal(torch.rand(3), expected)


def test_the_schedule() -> None:
    schedule = Schedule(0.2)
    rates = [schedule.at(step, 0, 99) for step in range(99)]
    assert rates[0] == pytest.approx(0.2 * 0.01 / 0.1)
    assert max(rates) == pytest.approx(0.2)
    assert int(np.argmax(rates)) == 9
    assert (np.diff(rates[10:]) < 0).all()
    assert 0 < rates[-1] < 0.001
    assert rates[9:10] == pytest.approx([0.2])
    moved = [schedule.at(step, 50, 149) for step in range(50, 149)]
    assert moved == pytest.approx(rates)


def test_beyond_the_plan_there_is_a_schedule_of_its_own() -> None:
    trained = learner()
    trained.train(batches(), 2, 2)
    before = trained.score(batches("valid"))["loss"]
    trained.train(batches(), 2, 2)
    assert trained.spent.train == 4
    assert trained.score(batches("valid"))["loss"] != before


def test_a_loss_that_is_not_a_number_raises() -> None:
    poisoned = Learner(GRAPH, PoisonedTask(), Device(), 0)
    with pytest.raises(ArithmeticError, match="training loss is nan after 1 epochs"):
        poisoned.train(batches(), 2, 2)


def test_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(HwnasError, match="no weights at"):
        learner().load(tmp_path / "none.safetensors")


def test_a_checkpoint_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, {"x": torch.arange(6.0).reshape(2, 3)}, {"n": 1})
    with pytest.raises((TypeError, ValueError)):
        checkpoint.save(path, {"x": torch.zeros(1)}, {"n": object()})
    tensors, facts = checkpoint.load(path)
    assert torch.equal(tensors["x"], torch.arange(6.0).reshape(2, 3))
    assert facts == {"n": 1}


def train(tmp_path: Path, task: FakeTask = TASK, **options: object) -> Train:
    return Train(Setting(SPACE, task, folder=tmp_path, keep=True), **options)  # type: ignore[arg-type]


def one(estimator: Train, proposal: Proposal) -> Outcome:
    (outcome,) = estimator.estimate([proposal])
    return outcome


def test_a_parent_continues_exactly(tmp_path: Path) -> None:
    estimator = train(tmp_path, epochs=4)
    whole = one(estimator, Proposal(0, POINT, 4))
    half = one(estimator, Proposal(0, POINT, 2))
    rest = one(estimator, Proposal(5, POINT, 2, parent=0))
    assert half.spent.train == 2
    assert rest.metrics == whole.metrics
    assert rest.curve == whole.curve
    assert (rest.spent.train, rest.spent.steps) == (whole.spent.train, whole.spent.steps)
    assert rest.spent.seconds > half.spent.seconds > 0


def test_failures_are_outcomes(tmp_path: Path) -> None:
    outcome = one(train(tmp_path, PoisonedTask(), epochs=1), Proposal(0, POINT, 1))
    assert "ArithmeticError" in str(outcome.failed)
    assert not outcome.metrics
    estimator = train(tmp_path, epochs=1)
    assert "no weights" in str(one(estimator, Proposal(1, POINT, 1, parent=77)).failed)
    wider = one(estimator, Proposal(2, POINT, 1))
    other = from_string("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert wider.failed is None
    assert one(estimator, Proposal(3, other, 1, parent=2)).failed is not None


@pytest.mark.parametrize("option", ["fraction", "resolution", "width"])
def test_lower_fidelity_costs_less(option: str, tmp_path: Path) -> None:
    full, less = train(tmp_path, epochs=1), train(tmp_path, epochs=1, **{option: 0.5})
    outcomes = [one(e, Proposal(0, POINT, 1)) for e in (full, less)]
    assert [o.failed for o in outcomes] == [None, None]
    assert outcomes[0].metrics != outcomes[1].metrics
    if option == "fraction":
        assert outcomes[1].spent.steps < outcomes[0].spent.steps


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"epochs": 0}, "epochs"),
        ({"fraction": 0.0}, "fraction"),
        ({"resolution": 1.5}, "resolution"),
        ({"width": -1.0}, "width"),
        ({"batch": 0}, "batch"),
        ({"batch": -4}, "batch"),
        ({"lr": 0.0}, "lr"),
        ({"lr": -0.1}, "lr"),
    ],
)
def test_mistakes_name_the_key(options: dict[str, float], key: str, tmp_path: Path) -> None:
    with pytest.raises(HwnasError, match=rf"estimator\.{key}"):
        train(tmp_path, **options)


def test_batches_are_a_function_of_their_number() -> None:
    a, b = batches(), batches()
    drawn = {i: a.training(i) for i in (0, 4, 2)}
    for i in (2, 0, 4):
        assert all(torch.equal(x, y) for x, y in zip(b.training(i), drawn[i], strict=True))
    epoch = torch.cat([a.training(i)[0] for i in range(a.per_epoch)])
    every = torch.cat([x for x, _ in a.scoring()])
    assert a.per_epoch == 3
    assert torch.equal(epoch.flatten().sort()[0], every.flatten().sort()[0])
    assert not torch.equal(a.training(0)[0], a.training(3)[0])
    assert len(list(a.scoring(limit=2, batch=10))) == 2
    assert sum(len(y) for _, y in a.scoring(batch=10)) == 96


def test_a_share_of_the_data_is_of_each_class() -> None:
    some = Batches(TASK, "train", Device(), 0, fraction=0.25)
    labels = torch.cat([y for _, y in some.scoring()])
    assert labels.bincount().tolist() == [8, 8, 8]
