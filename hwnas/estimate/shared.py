"""One supernet whose weights all networks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.core.architecture import Architecture
from hwnas.core.errors import HwnasError
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.setting import Setting
from hwnas.estimate._one_model import OneModel
from hwnas.estimate.positive import positive
from hwnas.space.replay import build

if TYPE_CHECKING:
    import numpy as np


class Shared(OneModel):
    """Trains a supernet on the mixtures and networks proposed; a training unit is one step.

    A gradient is that of the validation loss in the mixture, given as the task's first metric:
    of order 1 at the weights after the step, of order 2 through one more, virtual step (DARTS,
    equation 7, by automatic differentiation rather than finite differences). With ``bilevel``
    false one of order 1 is that of the training loss, from the pass of the step itself (SNAS).
    Networks are scored with the shared weights after their batch-norm statistics are measured on
    ``recalibrate`` batches. The learning rate falls along a cosine over ``horizon`` steps.
    ``batch``, ``lr`` and ``weight_decay`` are the task's unless given; more of the latter keeps
    gradient searches from collapsing (Zela et al. 2020, section 5).
    """

    paper = "Bender et al. 2018, One-shot architecture search; Pham et al. 2018, arXiv:1802.03268"
    provides = frozenset({"shared", "mixture", "gradient", "second_order"})

    def __init__(
        self,
        setting: Setting,
        *,
        horizon: int = 500,
        batch: int | None = None,
        lr: float | None = None,
        weight_decay: float | None = None,
        recalibrate: int = 8,
        bilevel: bool = True,
    ) -> None:
        super().__init__(setting)
        if horizon < 1 or recalibrate < 1:
            raise HwnasError(
                f"estimator: horizon ({horizon}) and recalibrate ({recalibrate}) must be at"
                " least 1."
            )
        positive(batch=batch, lr=lr, weight_decay=weight_decay)
        from hwnas.estimate.nn.compute import settle
        from hwnas.estimate.nn.sharer import Sharer

        settle(setting.device)
        self._bilevel = bilevel
        self._model = self._sharer = Sharer(setting, horizon, batch, lr, weight_decay, recalibrate)

    def _estimate(self, proposal: Proposal) -> Outcome:
        sharer, point = self._sharer, proposal.point
        if isinstance(point, Architecture):
            build(self.setting.space, point)  # raises if it is not of the space
        joint = proposal.gradient == 1 and not self._bilevel
        found: tuple[float, dict[str, np.ndarray]] | None = None
        for i in range(proposal.train):
            found = sharer.step(point, gradient=joint and i == proposal.train - 1)
        metrics: dict[str, float] = {}
        gradients = {}
        if proposal.gradient:
            if found is None or not joint:
                found = sharer.gradient(point, proposal.gradient)
            loss, gradient = found
            main = self.metrics[0]
            sign = 1 if main.goal == "min" else -1  # a metric to maximise rises as the loss falls
            metrics = {main.name: sign * loss}
            gradients = {main.name: {name: sign * g for name, g in gradient.items()}}
        if proposal.score != 0:
            metrics |= sharer.score(point, proposal.score)
        return Outcome(proposal, metrics, gradients, sharer.spent)
