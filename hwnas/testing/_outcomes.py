"""Outcomes of an estimator, and whether they are the same."""

from collections.abc import Sequence

import numpy as np

from hwnas.core.estimator import Estimator
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.testing._require import require


def outcomes_of(estimator: Estimator, proposals: Sequence[Proposal]) -> list[Outcome]:
    """Outcomes in the order of the proposals; the estimator is closed by the caller."""
    found = {o.proposal.id: o for o in estimator.estimate(iter(proposals))}
    missing = [p.id for p in proposals if p.id not in found]
    require(not missing, f"there is no outcome for proposals {missing}.")
    return [found[p.id] for p in proposals]


def same(first: Sequence[Outcome], second: Sequence[Outcome]) -> bool:
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
