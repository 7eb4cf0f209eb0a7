"""One supernet whose weights all networks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.core.errors import HwnasError
from hwnas.core.estimator import Estimator
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.setting import Setting

if TYPE_CHECKING:
    from pathlib import Path


class Shared(Estimator):
    """Trains a supernet on the mixtures and networks proposed; a training unit is one step.

    A gradient is that of the validation loss in the mixture, given as the task's first metric:
    of order 1 at the weights after the step, of order 2 through one more, virtual step (DARTS,
    equation 7, by automatic differentiation rather than finite differences). Networks are scored
    with the shared weights after their batch-norm statistics are measured on ``recalibrate``
    batches. The learning rate falls along a cosine over ``horizon`` steps.
    """

    paper = "Bender et al. 2018, One-shot architecture search; Pham et al. 2018, arXiv:1802.03268"
    provides = frozenset({"mixture", "gradient", "second_order"})
    divisible = False

    def __init__(
        self,
        setting: Setting,
        *,
        horizon: int = 500,
        batch: int | None = None,
        lr: float | None = None,
        recalibrate: int = 8,
    ) -> None:
        super().__init__(setting)
        if horizon < 1 or recalibrate < 1:
            raise HwnasError(
                f"estimator: horizon ({horizon}) and recalibrate ({recalibrate}) must be at"
                " least 1."
            )
        import torch

        from hwnas.estimate.nn.sharer import Sharer

        torch.set_num_threads(setting.device.threads)
        self._sharer = Sharer(setting, horizon, batch, lr, recalibrate)

    def _estimate(self, proposal: Proposal) -> Outcome:
        sharer, point = self._sharer, proposal.point
        for _ in range(proposal.train):
            sharer.step(point)
        metrics: dict[str, float] = {}
        gradients = {}
        if proposal.gradient:
            loss, gradient = sharer.gradient(point, proposal.gradient)
            main = self.metrics[0].name
            metrics = {main: loss}
            gradients = {main: gradient}
        if proposal.score != 0:
            metrics |= sharer.score(point, proposal.score)
        return Outcome(proposal, metrics, gradients, sharer.spent)

    def checkpoint(self, id: int) -> None:
        """Keep supernet and momentum; the checkpoint before stays until the next."""
        kept = sorted(self._folder.glob("supernet-*.safetensors"), key=_number)
        self._sharer.save(self._folder / f"supernet-{id}.safetensors")
        for old in kept[:-1]:
            old.unlink()

    def restore(self, id: int) -> None:
        """Take up the supernet of proposal ``id``."""
        self._sharer.load(self._folder / f"supernet-{id}.safetensors")

    @property
    def _folder(self) -> Path:
        if self.setting.folder is None:
            raise HwnasError("a supernet can be kept only where there is a folder for it.")
        return self.setting.folder / "weights"


def _number(path: Path) -> int:
    return int(path.stem.partition("-")[2])
