"""Steps that come again are recorded, and do the same as before."""

import logging

import numpy as np
import pytest
import torch
from torch import Tensor

from hwnas.core import Device, Mixture, Setting
from hwnas.estimate.nn import recorder
from hwnas.estimate.nn.batches import Batches
from hwnas.estimate.nn.compute import settle
from hwnas.estimate.nn.learner import Learner
from hwnas.estimate.nn.recorder import Recorder
from hwnas.estimate.nn.sharer import Sharer
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.space.replay import build, relax
from hwnas.task.digits import Digits

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


class Pretended(recorder._Recording):
    """Reads and writes the same tensors at each call, as a CUDA graph does."""

    made = 0

    def __init__(self, function, inputs, kept) -> None:
        type(self).made += 1
        self._inputs = [x if id(x) in kept else x.clone() for x in inputs]
        self._function = function
        self.results = [None if r is None else r.clone() for r in function(*self._inputs)]
        self._begun = False

    def __call__(self, inputs: tuple[Tensor, ...]):
        if not self._begun:  # done when it was made, which a CUDA graph is not
            self._begun = True
            return self.results
        for own, x in zip(self._inputs, inputs, strict=True):
            if own is not x:
                own.copy_(x)
        for result, new in zip(self.results, self._function(*self._inputs), strict=True):
            if result is not None:
                result.copy_(new)
        return self.results


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> type[Pretended]:
    """Recordings that need no GPU."""
    monkeypatch.setattr(recorder, "_Recording", Pretended)
    monkeypatch.setattr(Pretended, "made", 0)
    return Pretended


def test_without_a_gpu_functions_are_called_as_they_are() -> None:
    calls = []
    recorded = Recorder(records=False)
    for i in range(5):
        recorded("name", lambda x: calls.append(x) or [x], torch.tensor(i))
    assert [int(x) for x in calls] == [0, 1, 2, 3, 4]


def test_the_third_call_of_a_name_is_recorded_and_reads_new_inputs(pretended) -> None:
    recorded = Recorder(records=True)
    made, found = [], []
    for i in range(5):
        (result,) = recorded("double", lambda x: [2 * x], torch.tensor(float(i)))
        made.append(pretended.made)
        found.append(float(result))
    assert made == [0, 0, 1, 1, 1]
    assert found == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_a_recording_reads_the_results_of_another_where_they_are(pretended) -> None:
    recorded = Recorder(records=True)
    for i in range(4):
        (middle,) = recorded("first", lambda x: [x + 1], torch.tensor(float(i)))
        (end,) = recorded("second", lambda x: [10 * x], middle)
        assert float(end) == 10 * (i + 1)
    assert recorded._recordings["second"]._inputs[0] is recorded._recordings["first"].results[0]


def test_names_that_are_never_the_same_are_not_recorded_nor_kept(pretended) -> None:
    recorded = Recorder(records=True)
    for i in range(2 * recorder._COUNTED):
        recorded(i, lambda x: [x], torch.tensor(0.0))
    assert pretended.made == 0
    assert len(recorded._calls) <= recorder._COUNTED + 1


def test_no_more_than_some_recordings_are_kept(pretended) -> None:
    recorded = Recorder(records=True)
    for name in range(2 * recorder._MOST):
        for i in range(4):
            (result,) = recorded(name, lambda x: [x], torch.tensor(float(i)))
            assert float(result) == i
    assert pretended.made == recorder._MOST


def test_what_cannot_be_recorded_goes_on_with_a_warning(monkeypatch, caplog) -> None:
    def refuse(*_):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(recorder, "_Recording", refuse)
    recorded = Recorder(records=True)
    with caplog.at_level(logging.WARNING):
        found = [
            float(recorded("name", lambda x: [x], torch.tensor(float(i)))[0]) for i in range(5)
        ]
    assert found == [0, 1, 2, 3, 4]
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "not permitted" in caplog.text


def space() -> NasBench201:
    task = Digits()
    return NasBench201(task.input, task.outputs, cells=1, channels=4)


def losses(kind: str, records: bool, order: int) -> tuple[list[float], Tensor]:
    """Of a supernet's steps and gradients, and one of its weights in the end."""
    setting = Setting(space(), Digits(), Device(kind), seed=1)  # type: ignore[arg-type]
    settle(setting.device)
    sharer = Sharer(setting, 20, 16, None, None, 2)
    sharer._recorder = Recorder(records)
    rng = np.random.default_rng(0)
    _, choices = relax(setting.space)
    found = []
    for _ in range(6):
        point = Mixture({n: rng.dirichlet(np.ones(len(c.options))) for n, c in choices.items()})
        loss, _ = sharer.step(point)
        valid, slopes = sharer.gradient(point, order)
        found += [loss, valid, *(float(s @ s) for s in slopes.values())]
    return found, sharer._passes.parameters[0].detach().clone()


@pytest.mark.parametrize("order", [1, 2])
def test_a_recorded_supernet_learns_the_same(order: int, pretended) -> None:
    """Nothing that a step reads changes behind a recording's back."""
    plain, weight = losses("cpu", False, order)
    recorded, same = losses("cpu", True, order)
    assert pretended.made == 3  # two parts of the step on the weights, the gradient
    assert recorded == plain
    assert torch.equal(weight, same)


@GPU
@pytest.mark.parametrize("order", [1, 2])
def test_a_supernet_recorded_on_a_gpu_learns_the_same(order: int) -> None:
    plain, weight = losses("cuda", False, order)
    recorded, same = losses("cuda", True, order)
    assert recorded == plain
    assert torch.equal(weight, same)


@GPU
def test_a_network_recorded_on_a_gpu_learns_the_same() -> None:
    def trained(records: bool) -> tuple[tuple[float, ...], dict[str, Tensor]]:
        task, device = Digits(), Device("cuda")
        settle(device)
        network = sample(space(), np.random.default_rng(0))
        learner = Learner(build(space(), network), task, device, 1)
        learner._recorder = Recorder(records)
        learner.train(Batches(task, "train", device, 1), 2, 2)
        return learner.curve, learner.weights()

    plain, recorded = trained(False), trained(True)
    assert plain[0] == recorded[0]
    for name, weight in plain[1].items():
        assert torch.equal(weight, recorded[1][name]), name


@GPU
def test_what_waits_for_the_gpu_is_not_recorded(caplog) -> None:
    recorded = Recorder(records=True)
    for i in range(5):
        x = torch.tensor(float(i), device="cuda")
        (result,) = recorded("waits", lambda x: [x * x.item()], x)
        assert float(result) == i * i
    assert "cannot be recorded" in caplog.text
