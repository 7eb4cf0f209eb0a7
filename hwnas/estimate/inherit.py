"""Training that begins from the weights of another network."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hwnas.core.architecture import Architecture
from hwnas.estimate.train import Train

if TYPE_CHECKING:
    from pathlib import Path

    from hwnas.estimate.nn.learner import Learner


class Inherit(Train):
    """Trains each network, those with a parent from the weights of their parent.

    A parent of the same architecture is taken up where it was left, as `train` does. From another
    one the child inherits what the space makes of its weights and batch-norm statistics, by a
    network morphism for instance (Elsken et al. 2017 and 2019, section 3 of both). Of these it
    keeps what has a name and shape of its own, and the rest is drawn (Real et al. 2017, section
    "Weight inheritance"). Momentum was gathered for other weights and is not inherited.

    Cost and curve go on from the parent's. The learning rate starts anew: a child's units, however
    few, are one annealing from the full rate to zero (a warm restart, as for the children in
    Elsken et al. 2017), so that children are told apart at its end and not on the way. When it is
    trained on, that is one more such cycle.
    """

    paper = (
        "Elsken et al. 2017, NASH, arXiv:1711.04528; Elsken et al. 2019, LEMONADE, "
        "arXiv:1804.09081; Real et al. 2017, arXiv:1703.01041"
    )
    provides = frozenset({"parent", "inherit"})

    def _begin(self, learner: Learner, architecture: Architecture, parent: Path) -> None:
        """Go on with the same network, or inherit from another."""
        from hwnas.estimate.nn import checkpoint

        before = Architecture.from_json(checkpoint.load(parent)[1]["architecture"])
        if before == architecture:
            super()._begin(learner, architecture, parent)
        else:
            learner.inherit(parent, partial(self.setting.space.transfer, before, architecture))
