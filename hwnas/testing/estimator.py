"""The contract of estimators, as checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.estimator import Estimator
from hwnas.core.proposal import Proposal
from hwnas.core.space import Space
from hwnas.space.moves import morph, sample
from hwnas.testing._outcomes import outcomes_of, same
from hwnas.testing._relaxed import check_gradient, check_mixture
from hwnas.testing._require import require
from hwnas.testing.bench import Bench, estimator_bench
from hwnas.testing.elsewhere import elsewhere
from hwnas.testing.fakes import FakeTask
from hwnas.testing.strategy import WORDS

if TYPE_CHECKING:
    from torch import Tensor


class PoisonedTask(FakeTask):
    """A fake task whose loss is never a number."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """NaN, with a gradient that is NaN."""
        return outputs.sum() * math.nan


def check_outcomes(bench: Bench) -> None:
    """Each proposal has one outcome, with finite metrics that were promised, and its cost."""
    estimator = bench.estimator()
    require(estimator.units >= 1, f"units are {estimator.units}.")
    require(estimator.slots >= 1, f"slots are {estimator.slots}.")
    unknown = sorted(estimator.provides - WORDS)
    require(not unknown, f"it provides {unknown}, known are {sorted(WORDS)}.")
    promised = {metric.name for metric in estimator.metrics}
    proposals = bench.proposals()
    outcomes = list(estimator.estimate(iter(proposals)))
    estimator.close()
    ids = sorted(o.proposal.id for o in outcomes)
    require(ids == [p.id for p in proposals], f"outcomes are those of {ids}.")
    for outcome in outcomes:
        require(outcome.proposal == proposals[outcome.proposal.id], "a proposal was changed.")
        require(outcome.failed is None, f"a candidate failed: {outcome.failed}")
        require(
            promised <= outcome.metrics.keys(),
            f"metrics are {sorted(outcome.metrics)}, promised are {sorted(promised)}.",
        )
        for name, value in outcome.metrics.items():
            require(math.isfinite(value), f"{name} is {value}.")
        require(
            outcome.spent.train >= outcome.proposal.train,
            f"{outcome.spent.train} training units were spent of {outcome.proposal.train}.",
        )


def check_failure(bench: Bench) -> None:
    """What cannot be built or learnt is a failed outcome, and the next one is not harmed."""
    good, other, *_ = bench.proposals()
    stranger = Proposal(1, Architecture({"no such choice": 1}), good.train)
    outcomes = bench.run([replace(good, id=0), stranger, replace(other, id=2)])
    require(outcomes[1].failed is not None, "an architecture of another space did not fail.")
    require(not outcomes[1].metrics, "a failed outcome has metrics.")
    require(
        outcomes[0].failed is None and outcomes[2].failed is None,
        "a good candidate failed beside a bad one.",
    )
    poisoned = bench.estimator(PoisonedTask())
    for outcome in outcomes_of(poisoned, bench.proposals(2)):
        finite = all(math.isfinite(value) for value in outcome.metrics.values())
        require(outcome.failed is not None or finite, "a loss that is NaN is no failure.")
    poisoned.close()


def check_seed(bench: Bench) -> None:
    """The same seed gives the same outcomes, here and in another process."""
    proposals = bench.proposals()
    first, second = bench.run(proposals), bench.run(proposals)
    require(same(first, second), "the same seed gave other outcomes.")
    require(
        same(first, elsewhere(bench.run, proposals)),
        "the same seed gave other outcomes in another process.",
    )


def check_checkpoint(bench: Bench) -> None:
    """What is restored goes on as what was checkpointed; older checkpoints do not matter."""
    early, late = bench.proposals(4)[:2], bench.proposals(4)[2:]
    first = bench.estimator()
    for proposal in early:
        outcomes_of(first, [proposal])
        first.checkpoint(proposal.id)
    expected = outcomes_of(first, late)
    first.close()
    second = bench.estimator()
    second.restore(early[-1].id)
    require(same(outcomes_of(second, late), expected), "restored, it gives other outcomes.")
    second.checkpoint(late[0].id)  # killed before the snapshot that names this one ...
    second.close()
    third = bench.estimator()
    third.restore(early[-1].id)  # ... twice in a row
    third.checkpoint(late[0].id)
    third.close()
    last = bench.estimator()
    last.restore(early[-1].id)
    require(
        same(outcomes_of(last, late), expected),
        "a checkpoint is spoilt by those written after it, before any snapshot names them.",
    )
    last.close()


def check_parent(bench: Bench) -> None:
    """With ``parent`` a network goes on from its parent's weights, and cost adds up."""
    if "parent" not in bench.estimator().provides:
        return
    point = bench.proposals(1)[0].point
    root, child = Proposal(0, point, 2), Proposal(1, point, 1, parent=0)
    outcomes = bench.run([root, child, Proposal(2, point, 0, parent=1)])
    require([o.failed for o in outcomes] == [None] * 3, f"one failed: {outcomes}")
    spent = [o.spent.train for o in outcomes]
    require(spent == [2, 3, 3], f"training adds up to {spent}, not to [2, 3, 3].")
    for name, value in outcomes[1].metrics.items():
        require(
            math.isclose(value, outcomes[2].metrics[name], abs_tol=1e-6),
            f"{name} differs although the parent's weights were scored as they are.",
        )
    _check_orphan(bench, Proposal(9, point, 1, parent=8))


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
    outcomes = bench.run(family)
    for outcome in outcomes:
        require(outcome.failed is None, f"one failed: {outcome.failed}")
        finite = all(math.isfinite(value) for value in outcome.metrics.values())
        require(bool(outcome.metrics) and finite, f"metrics are {dict(outcome.metrics)}.")
        require(outcome.spent.train >= 2, f"{outcome.spent.train} training units were spent of 2.")
    require(same(outcomes, bench.run(family)), "the same parent gave another child.")
    _check_orphan(bench, Proposal(9, point, 2, parent=8))


def _check_orphan(bench: Bench, orphan: Proposal) -> None:
    (outcome,) = bench.run([orphan])
    require(outcome.failed is not None, "a parent that never was is no failure.")


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
