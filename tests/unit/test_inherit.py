"""A child begins with what its parent has learnt, and with nothing else of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hwnas.core import Architecture, Estimator, HwnasError, Outcome, Proposal, Setting, Space, Spent
from hwnas.estimate.inherit import Inherit
from hwnas.estimate.nn import checkpoint
from hwnas.estimate.nn.learner import Schedule
from hwnas.estimate.train import Train
from hwnas.space.darts import Darts
from hwnas.space.morph import Morph
from hwnas.space.moves import morph, sample
from hwnas.space.nas_bench_201 import NasBench201, from_string
from hwnas.testing import FakeTask
from hwnas.testing.estimator import check_inherit, estimator_bench

TASK = FakeTask()
CELLS = NasBench201(TASK.input, TASK.outputs, cells=1, channels=4)
CELL = "|nor_conv_3x3~0|+|skip_connect~0|{}~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|"
PARENT, CHILD = (from_string(CELL.format(op)) for op in ("nor_conv_3x3", "nor_conv_1x1"))
MORPHS = Morph(TASK.input, TASK.outputs, channels=4, stages=2)
SEED = Architecture({"0.kind": "stop"})


def estimator(
    folder: Path, space: Space = CELLS, cls: type[Train] = Inherit, **options: object
) -> Train:
    return cls(Setting(space, TASK, folder=folder, keep=True), **options)  # type: ignore[arg-type]


def one(by: Estimator, proposal: Proposal) -> Outcome:
    (outcome,) = by.estimate([proposal])
    assert outcome.failed is None, outcome.failed
    return outcome


def kept(folder: Path, id: int) -> dict[str, Tensor]:
    return checkpoint.load(folder / "weights" / f"{id}.safetensors")[0]


@pytest.mark.parametrize("kind", sorted(Morph.preserving))
def test_an_exact_morph_scores_what_its_parent_scores(kind: str, tmp_path: Path) -> None:
    inherit, rng = estimator(tmp_path, MORPHS), np.random.default_rng(0)
    parent = SEED
    for _ in range(2):  # so that there is something to skip, and a long list
        parent = MORPHS.grow(parent, rng, ["deepen"])
    trained = one(inherit, Proposal(0, parent, 2))
    assert trained.metrics["error"] < 0.5
    for id in (1, 2, 3):
        child = MORPHS.grow(parent, rng, [kind])
        found = one(inherit, Proposal(id, child, 0, parent=id - 1))
        assert found.metrics == pytest.approx(trained.metrics, abs=1e-4)
        assert (found.spent.train, found.curve) == (2, trained.curve)
        parent = child
    fresh = one(inherit, Proposal(4, parent, 0))
    assert fresh.metrics["loss"] > trained.metrics["loss"] + 0.1


def test_what_did_not_change_is_kept_and_the_changed_edge_is_fresh(tmp_path: Path) -> None:
    inherit = estimator(tmp_path)
    one(inherit, Proposal(0, PARENT, 2))
    one(inherit, Proposal(1, CHILD, 0, parent=0))
    before, child = kept(tmp_path, 0), kept(tmp_path, 1)
    one(inherit, Proposal(1, CHILD, 0))
    drawn = kept(tmp_path, 1)
    assert child.keys() == drawn.keys()
    assert any(name.startswith("momentum.") for name in before)  # which the child has not
    changed = {name for name in child if name not in before}
    assert {name.split(".")[-1] for name in changed} >= {"weight", "running_mean", "running_var"}
    assert {name.split(".")[2].partition(":")[2] for name in changed} == {"cell0:1-2:nor_conv_1x1"}
    for name, tensor in child.items():
        assert torch.equal(tensor, (drawn if name in changed else before)[name]), name
    moved = [n for n in child if n not in changed and not torch.equal(before[n], drawn[n])]
    assert any("running_mean" in name for name in moved)


def test_heads_that_exist_only_in_training_are_inherited(tmp_path: Path) -> None:
    space = Darts(TASK.input, TASK.outputs, cells=3, channels=2, auxiliary=0.4)
    inherit, rng = estimator(tmp_path, space), np.random.default_rng(0)
    parent = sample(space, rng)
    one(inherit, Proposal(0, parent, 1))
    one(inherit, Proposal(1, morph(space, parent, rng), 0, parent=0))
    before, child = kept(tmp_path, 0), kept(tmp_path, 1)
    heads = [name for name in child if name.startswith("weights.auxiliary.")]
    assert heads
    assert all(torch.equal(child[name], before[name]) for name in heads)


def test_an_inherited_child_starts_from_a_lower_loss(tmp_path: Path) -> None:
    inherit, rng = estimator(tmp_path, epochs=4), np.random.default_rng(0)
    for id in range(0, 12, 3):
        parent = sample(CELLS, rng)
        child = morph(CELLS, parent, rng)
        before = one(inherit, Proposal(id, parent, 4))
        heir = one(inherit, Proposal(id + 1, child, 1, parent=id))
        fresh = one(inherit, Proposal(id + 2, child, 1))
        assert heir.curve[:-1] == before.curve
        assert heir.curve[-1] < fresh.curve[0]
        assert (heir.spent.train, heir.spent.steps) == (5, 15)
        assert heir.spent.seconds > before.spent.seconds


def test_the_same_network_goes_on_as_in_train(tmp_path: Path) -> None:
    family = [
        Proposal(0, PARENT, 1),
        Proposal(1, PARENT, 2, parent=0),
        Proposal(2, PARENT, 2, parent=1),
    ]
    ours, theirs = (
        [one(by, proposal) for proposal in family]
        for by in (
            estimator(tmp_path / "ours", epochs=3),
            estimator(tmp_path / "theirs", cls=Train, epochs=3),
        )
    )
    for a, b in zip(ours, theirs, strict=True):
        assert replace(a, spent=Spent()) == replace(b, spent=Spent())
        assert (a.spent.train, a.spent.steps) == (b.spent.train, b.spent.steps)
    assert kept(tmp_path / "ours", 1).keys() == kept(tmp_path / "theirs", 1).keys()


def test_units_of_a_child_are_one_annealing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inherit, plans = estimator(tmp_path, epochs=10), []

    class Noted(Schedule):
        def at(self, step: int, begin: int, end: int) -> float:
            plans.append((begin, end))
            return super().at(step, begin, end)

    monkeypatch.setattr("hwnas.estimate.nn.learner.Schedule", Noted)

    def plan(proposal: Proposal) -> tuple[int, int]:
        plans.clear()
        one(inherit, proposal)
        (only,) = set(plans)
        return only

    assert plan(Proposal(0, PARENT, 2)) == (0, 30)  # three steps an epoch
    assert plan(Proposal(1, PARENT, 1, parent=0)) == (0, 30)
    assert plan(Proposal(2, CHILD, 2, parent=0)) == (6, 12)
    assert plan(Proposal(3, CHILD, 1, parent=2)) == (12, 15)
    assert plan(Proposal(4, PARENT, 1, parent=3)) == (15, 18)


@pytest.mark.parametrize("fidelity", [{"width": 0.5}, {"resolution": 0.5}, {"fraction": 0.5}])
@pytest.mark.parametrize("space", [CELLS, MORPHS], ids=["nas_bench_201", "morph"])
def test_what_fits_is_kept_at_lower_fidelity(
    fidelity: dict[str, Any], space: Space, tmp_path: Path
) -> None:
    inherit = estimator(tmp_path, space, **fidelity)
    rng = np.random.default_rng(1)
    parent = PARENT if space is CELLS else SEED
    one(inherit, Proposal(0, parent, 1))
    before = kept(tmp_path, 0)
    for id in range(1, 5):
        child = morph(space, parent, rng)
        one(inherit, Proposal(id, child, 0, parent=0))
        after = kept(tmp_path, id)
        if "width" in fidelity or space is CELLS:  # no morphism knows scaled weights
            fits = [n for n, t in after.items() if n in before and t.shape == before[n].shape]
            assert all(torch.equal(after[name], before[name]) for name in fits)
            assert any("running_var" in name for name in fits)
        assert one(inherit, Proposal(9, child, 1, parent=id)).spent.train == 2


class Strict(Train):
    """Promises what it cannot."""

    provides = frozenset({"inherit"})


class Forgetful(Inherit):
    """Counts nothing."""

    def _estimate(self, proposal: Proposal) -> Outcome:
        return replace(super()._estimate(proposal), spent=Spent())


class Fickle(Inherit):
    """Depends on how often it was asked."""

    asked = 0

    def _estimate(self, proposal: Proposal) -> Outcome:
        Fickle.asked += 1
        return replace(super()._estimate(proposal), metrics={"error": Fickle.asked / 1000})


class Careless(Inherit):
    """Begins anew where there is no parent."""

    def _estimate(self, proposal: Proposal) -> Outcome:
        try:
            return super()._estimate(proposal)
        except HwnasError:
            return super()._estimate(replace(proposal, parent=None))


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Strict, "one failed"),
        (Forgetful, "0 training units were spent"),
        (Fickle, "the same parent gave another child"),
        (Careless, "never was"),
    ],
)
def test_who_does_not_inherit_is_found(cls: type[Train], message: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=message):
        check_inherit(estimator_bench(cls, {"epochs": 2}, None, tmp_path))
