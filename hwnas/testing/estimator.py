"""The contract of estimators, as checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.device import Device
from hwnas.core.estimator import Estimator
from hwnas.core.mixture import Mixture
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.registry import check_options, find
from hwnas.core.setting import Setting
from hwnas.core.space import Space
from hwnas.space.moves import morph, sample
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.space.replay import relax
from hwnas.testing.elsewhere import elsewhere
from hwnas.testing.fakes import FakeTask
from hwnas.testing.small import small
from hwnas.testing.strategy import WORDS

if TYPE_CHECKING:
    from torch import Tensor


class PoisonedTask(FakeTask):
    """A fake task whose loss is never a number."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """NaN, with a gradient that is NaN."""
        return outputs.sum() * math.nan


@dataclass(frozen=True)
class Bench:
    """An estimator with its options, in a space, with a folder for its weights."""

    cls: type[Estimator]
    options: Mapping[str, Any]
    space: Space
    folder: Path

    def setting(self, task: FakeTask | None = None) -> Setting:
        """In double precision, so that gradients can be checked by finite differences."""
        device = Device(precision="float64")
        return Setting(self.space, task or FakeTask(), device, 3, self.folder, keep=True)

    def estimator(self, task: FakeTask | None = None) -> Estimator:
        """A new one."""
        return self.cls(self.setting(task), **self.options)

    def proposals(self, count: int = 4) -> list[Proposal]:
        """Full trials of random architectures."""
        rng = np.random.default_rng(0)
        units = self.estimator().units
        return [Proposal(i, sample(self.space, rng), units) for i in range(count)]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _estimate(estimator: Estimator, proposals: Sequence[Proposal]) -> list[Outcome]:
    """Outcomes in the order of the proposals; the estimator is closed by the caller."""
    found = {o.proposal.id: o for o in estimator.estimate(iter(proposals))}
    missing = [p.id for p in proposals if p.id not in found]
    _require(not missing, f"there is no outcome for proposals {missing}.")
    return [found[p.id] for p in proposals]


def _run(bench: Bench, proposals: Sequence[Proposal]) -> list[Outcome]:
    estimator = bench.estimator()
    try:
        return _estimate(estimator, proposals)
    finally:
        estimator.close()


def _same(first: Sequence[Outcome], second: Sequence[Outcome]) -> bool:
    """Whether all but the seconds agree, to 1e-6."""
    return all(
        a.proposal == b.proposal
        and (a.spent.train, a.spent.steps, a.failed) == (b.spent.train, b.spent.steps, b.failed)
        and a.metrics.keys() == b.metrics.keys()
        and np.allclose(
            [a.metrics[k] for k in a.metrics], [b.metrics[k] for k in a.metrics], 0, 1e-6
        )
        and np.allclose(a.curve, b.curve, 0, 1e-6)
        and all(
            np.allclose(g, b.gradients[metric][choice], 0, 1e-6)
            for metric, by_choice in a.gradients.items()
            for choice, g in by_choice.items()
        )
        for a, b in zip(first, second, strict=True)
    )


def check_outcomes(bench: Bench) -> None:
    """Each proposal has one outcome, with finite metrics that were promised, and its cost."""
    estimator = bench.estimator()
    _require(estimator.units >= 1, f"units are {estimator.units}.")
    _require(estimator.slots >= 1, f"slots are {estimator.slots}.")
    unknown = sorted(estimator.provides - WORDS)
    _require(not unknown, f"it provides {unknown}, known are {sorted(WORDS)}.")
    promised = {metric.name for metric in estimator.metrics}
    proposals = bench.proposals()
    outcomes = list(estimator.estimate(iter(proposals)))
    estimator.close()
    ids = sorted(o.proposal.id for o in outcomes)
    _require(ids == [p.id for p in proposals], f"outcomes are those of {ids}.")
    for outcome in outcomes:
        _require(outcome.proposal == proposals[outcome.proposal.id], "a proposal was changed.")
        _require(outcome.failed is None, f"a candidate failed: {outcome.failed}")
        _require(
            promised <= outcome.metrics.keys(),
            f"metrics are {sorted(outcome.metrics)}, promised are {sorted(promised)}.",
        )
        for name, value in outcome.metrics.items():
            _require(math.isfinite(value), f"{name} is {value}.")
        _require(
            outcome.spent.train >= outcome.proposal.train,
            f"{outcome.spent.train} training units were spent of {outcome.proposal.train}.",
        )


def check_failure(bench: Bench) -> None:
    """What cannot be built or learnt is a failed outcome, and the next one is not harmed."""
    good, other, *_ = bench.proposals()
    stranger = Proposal(1, Architecture({"no such choice": 1}), good.train)
    outcomes = _run(bench, [replace(good, id=0), stranger, replace(other, id=2)])
    _require(outcomes[1].failed is not None, "an architecture of another space did not fail.")
    _require(not outcomes[1].metrics, "a failed outcome has metrics.")
    _require(
        outcomes[0].failed is None and outcomes[2].failed is None,
        "a good candidate failed beside a bad one.",
    )
    poisoned = bench.estimator(PoisonedTask())
    for outcome in _estimate(poisoned, bench.proposals(2)):
        finite = all(math.isfinite(value) for value in outcome.metrics.values())
        _require(outcome.failed is not None or finite, "a loss that is NaN is no failure.")
    poisoned.close()


def check_seed(bench: Bench) -> None:
    """The same seed gives the same outcomes, here and in another process."""
    proposals = bench.proposals()
    first, second = _run(bench, proposals), _run(bench, proposals)
    _require(_same(first, second), "the same seed gave other outcomes.")
    _require(
        _same(first, elsewhere(_run, bench, proposals)),
        "the same seed gave other outcomes in another process.",
    )


def check_checkpoint(bench: Bench) -> None:
    """What is restored goes on as what was checkpointed; older checkpoints do not matter."""
    early, late = bench.proposals(4)[:2], bench.proposals(4)[2:]
    first = bench.estimator()
    for proposal in early:
        _estimate(first, [proposal])
        first.checkpoint(proposal.id)
    expected = _estimate(first, late)
    first.close()
    second = bench.estimator()
    second.restore(early[-1].id)
    _require(_same(_estimate(second, late), expected), "restored, it gives other outcomes.")
    second.checkpoint(late[0].id)  # killed before the snapshot that names this one ...
    second.close()
    third = bench.estimator()
    third.restore(early[-1].id)  # ... twice in a row
    third.checkpoint(late[0].id)
    third.close()
    last = bench.estimator()
    last.restore(early[-1].id)
    _require(
        _same(_estimate(last, late), expected),
        "a checkpoint is spoilt by those written after it, before any snapshot names them.",
    )
    last.close()


def check_parent(bench: Bench) -> None:
    """With ``parent`` a network goes on from its parent's weights, and cost adds up."""
    if "parent" not in bench.estimator().provides:
        return
    point = bench.proposals(1)[0].point
    root, child = Proposal(0, point, 2), Proposal(1, point, 1, parent=0)
    outcomes = _run(bench, [root, child, Proposal(2, point, 0, parent=1)])
    _require([o.failed for o in outcomes] == [None] * 3, f"one failed: {outcomes}")
    spent = [o.spent.train for o in outcomes]
    _require(spent == [2, 3, 3], f"training adds up to {spent}, not to [2, 3, 3].")
    for name, value in outcomes[1].metrics.items():
        _require(
            math.isclose(value, outcomes[2].metrics[name], abs_tol=1e-6),
            f"{name} differs although the parent's weights were scored as they are.",
        )
    (orphan,) = _run(bench, [Proposal(9, point, 1, parent=8)])
    _require(orphan.failed is not None, "a parent that never was is no failure.")


def check_inherit(bench: Bench) -> None:
    """With ``inherit`` a parent may be another network: the child is scored, and pays its own."""
    if "inherit" not in bench.estimator().provides:
        return
    rng = np.random.default_rng(0)
    point = sample(bench.space, rng)
    family = [Proposal(0, point, 2)]
    for id in range(1, 5):  # one change may leave all weights as they are
        point = morph(bench.space, point, rng)
        family.append(Proposal(id, point, 2, parent=id - 1))
    outcomes = _run(bench, family)
    for outcome in outcomes:
        _require(outcome.failed is None, f"one failed: {outcome.failed}")
        finite = all(math.isfinite(value) for value in outcome.metrics.values())
        _require(bool(outcome.metrics) and finite, f"metrics are {dict(outcome.metrics)}.")
        _require(outcome.spent.train >= 2, f"{outcome.spent.train} training units were spent of 2.")
    _require(_same(outcomes, _run(bench, family)), "the same parent gave another child.")
    (orphan,) = _run(bench, [Proposal(9, point, 2, parent=8)])
    _require(orphan.failed is not None, "a parent that never was is no failure.")


def check_mixture(bench: Bench) -> None:
    """With ``mixture`` relaxed points are trained and scored."""
    if "mixture" not in bench.estimator().provides:
        return
    mixture = _mixture(bench.space, np.random.default_rng(0))
    (scored, silent) = _run(bench, [Proposal(0, mixture, 1), Proposal(1, mixture, 1, score=0)])
    _require(scored.failed is None and silent.failed is None, f"it failed: {scored.failed}")
    _require(bool(scored.metrics), "a scored mixture has no metrics.")
    _require(silent.spent.train >= 1, "training that is not scored costs nothing.")


def check_gradient(bench: Bench) -> None:
    """With ``gradient`` the gradient is that of the metric given, by finite differences."""
    provides = bench.estimator().provides
    if "gradient" in provides:
        _differentiate(bench, 1)
    if "second_order" in provides:
        _require("gradient" in provides, "second_order without gradient makes no sense.")
        _differentiate(bench, 2)


def _differentiate(bench: Bench, order: Literal[1, 2]) -> None:
    """Compare proposals without training: all of them see the same weights and data."""
    # A wider step would cross a kink of some ReLU, where order 2 jumps.
    rng, step = np.random.default_rng(order), 1e-7
    _, choices = relax(bench.space)
    at = _mixture(bench.space, rng)
    way = {n: rng.standard_normal(len(c.options)) for n, c in choices.items()}
    points = [
        Mixture({n: at.weights(c) + h * way[n] for n, c in choices.items()})
        for h in (0.0, step, -step)
    ]
    proposals = [Proposal(i, p, 0, score=0, gradient=order) for i, p in enumerate(points)]
    warm = Proposal(99, at, 1, score=0)
    _, middle, plus, minus = _run(bench, [warm, *proposals])
    _require(middle.failed is None, f"it failed: {middle.failed}")
    main = bench.estimator().metrics[0].name
    _require(main in middle.gradients, f"{main} has no gradient.")
    for name, gradients in middle.gradients.items():
        for choice in choices.values():
            shape = gradients[choice.name].shape
            _require(shape == (len(choice.options),), f"d {name} / d {choice.name} is {shape}.")
        slope = sum(float(gradients[n] @ way[n]) for n in choices)
        measured = (plus.metrics[name] - minus.metrics[name]) / (2 * step)
        _require(
            math.isclose(slope, measured, rel_tol=1e-3, abs_tol=1e-5),
            f"the gradient of {name} (order {order}) says {slope:.6f} where differences say"
            f" {measured:.6f}.",
        )


def _mixture(space: Space, rng: np.random.Generator) -> Mixture:
    _, choices = relax(space)
    return Mixture({n: rng.dirichlet(np.ones(len(c.options))) for n, c in choices.items()})


ESTIMATOR_CHECKS: tuple[Callable[[Bench], None], ...] = (
    check_outcomes,
    check_failure,
    check_seed,
    check_checkpoint,
    check_parent,
    check_inherit,
    check_mixture,
    check_gradient,
)


def estimator_bench(
    estimator: str | type[Estimator],
    options: Mapping[str, Any] | None,
    space: Space | None,
    folder: Path,
) -> Bench:
    """An estimator ready for the checks; ``options`` None makes it small.

    Raises :class:`HwnasError` if it does not fit the space or the options.
    """
    cls = (
        find("estimators", estimator, "estimator").cls if isinstance(estimator, str) else estimator
    )
    given = small(cls) if options is None else options
    task = FakeTask()
    space = space or NasBench201(task.input, task.outputs, cells=1, channels=2)
    bench = Bench(cls, check_options(cls, given, "estimator"), space, folder)
    bench.estimator().close()
    return bench


def check_estimator(
    estimator: str | type[Estimator],
    options: Mapping[str, Any] | None = None,
    space: Space | None = None,
) -> None:
    """Raise AssertionError, saying what is wrong, if an estimator breaks its contract.

    ``options`` None stands for small ones, ``space`` None for a small NAS-Bench-201; a space must
    have the fake task's input and outputs. Raises :class:`HwnasError` if they do not fit.
    """
    for check in ESTIMATOR_CHECKS:
        with TemporaryDirectory() as folder:
            check(estimator_bench(estimator, options, space, Path(folder)))
