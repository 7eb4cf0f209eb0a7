"""Training from scratch, in full or cheaper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.core.architecture import Architecture
from hwnas.core.errors import HwnasError
from hwnas.core.estimator import Estimator
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.setting import Setting
from hwnas.estimate.positive import positive

if TYPE_CHECKING:
    from hwnas.estimate.nn.learner import Learner


class Train(Estimator):
    """Trains each network alone; an epoch is a training unit, ``epochs`` make a full evaluation.

    Fidelity: ``epochs``, the ``fraction`` of training data, the ``resolution`` and the ``width``
    as shares of the full ones (Elsken et al. 2019, section 4). A proposal with a parent takes up
    the parent's weights and momentum where they were left.
    """

    paper = "Zoph & Le 2017, Neural architecture search with RL, arXiv:1611.01578"
    provides = frozenset({"parent"})

    def __init__(
        self,
        setting: Setting,
        *,
        epochs: int = 10,
        fraction: float = 1.0,
        resolution: float = 1.0,
        width: float = 1.0,
        batch: int | None = None,
        lr: float | None = None,
    ) -> None:
        super().__init__(setting)
        for name, share in (("fraction", fraction), ("resolution", resolution), ("width", width)):
            if not 0 < share <= 1:
                raise HwnasError(f"estimator.{name}: must be in (0, 1], got {share}.")
        if epochs < 1:
            raise HwnasError(f"estimator.epochs: must be at least 1, got {epochs}.")
        positive(batch=batch, lr=lr)
        from hwnas.estimate.nn.batches import Batches, resized
        from hwnas.estimate.nn.compute import settle

        settle(setting.device)
        self.units = epochs
        self._width = width
        self._lr = lr
        self._input = resized(setting.task.input, resolution)
        task, device, seed = setting.task, setting.device, setting.seed
        self._train = Batches(
            task, "train", device, seed, batch=batch, fraction=fraction, resolution=resolution
        )
        self._valid = Batches(task, "valid", device, seed, resolution=resolution)

    def _estimate(self, proposal: Proposal) -> Outcome:
        from hwnas.estimate.nn.compute import derive
        from hwnas.estimate.nn.learner import Learner
        from hwnas.graph.scale import scale
        from hwnas.space.replay import build

        point, setting = proposal.point, self.setting
        if not isinstance(point, Architecture):
            raise HwnasError("networks are trained alone, not mixtures.")
        graph = build(setting.space, point)
        if self._width < 1 or self._input != setting.task.input:
            graph = scale(graph, self._width, self._input)
        seed = derive(setting.seed, proposal.id)
        learner = Learner(graph, setting.task, setting.device, seed, self._lr)
        if proposal.parent is not None:
            self._begin(learner, point, self._path(proposal.parent))
        learner.train(self._train, proposal.train, self.units)
        if setting.keep:
            learner.save(self._path(proposal.id), {"architecture": point.to_json()})
        metrics = {} if proposal.score == 0 else learner.score(self._valid, proposal.score)
        return Outcome(proposal, dict(metrics), spent=learner.spent, curve=learner.curve)

    def _begin(self, learner: Learner, architecture: Architecture, parent: Path) -> None:
        """Take up what the parent has left."""
        learner.load(parent)

    def _path(self, id: int) -> Path:
        if self.setting.folder is None:
            raise HwnasError("weights can be taken over only where there is a folder to keep them.")
        return self.setting.folder / "weights" / f"{id}.safetensors"
