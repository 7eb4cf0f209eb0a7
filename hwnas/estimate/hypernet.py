"""A network that generates the weights of all others."""

from __future__ import annotations

from typing import Literal

from hwnas.core.architecture import Architecture
from hwnas.core.errors import HwnasError
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.setting import Setting
from hwnas.estimate._one_model import OneModel
from hwnas.estimate.positive import positive
from hwnas.space.replay import build


class Hypernet(OneModel):
    """Trains a hypernetwork on the networks proposed; a training unit is one step of Adam.

    Any network of any space can be proposed, as its weights are generated from its graph. Networks
    are scored with generated weights after their batch-norm statistics are measured on
    ``recalibrate`` batches. The learning rate falls along a cosine over ``horizon`` steps.

    ``kind`` ghn is a graph network of states of ``width`` numbers, in ``rounds`` there and back
    through the graph, node after node or all at once (``order``), that reach ``reach`` edges far;
    it decodes weights of up to ``channels`` channels, tiled beyond, and can ``normalise`` them by
    fan-in. ``kind`` smash is a convolutional network of ``width`` channels over an encoding of
    the graph; filters up to the size ``kernel`` are generated, all else is shared by name.

    The weights of networks scored are kept, if the setting asks for it, where `train` and `inherit`
    find those of a parent: training can begin from them.
    """

    paper = (
        "Brock et al. 2018, SMASH, arXiv:1708.05344; Zhang et al. 2019, Graph hypernetworks, "
        "arXiv:1810.05749; Knyazev et al. 2021, arXiv:2110.13100"
    )
    provides = frozenset({"shared"})

    def __init__(
        self,
        setting: Setting,
        *,
        kind: Literal["smash", "ghn"] = "ghn",
        horizon: int = 500,
        batch: int | None = None,
        lr: float | None = None,
        recalibrate: int = 8,
        width: int = 32,
        rounds: int = 1,
        order: Literal["sequential", "synchronous"] = "sequential",
        reach: int = 1,
        normalise: bool = True,
        channels: int = 32,
        kernel: int = 3,
    ) -> None:
        super().__init__(setting)
        least = {"horizon": horizon, "recalibrate": recalibrate, "width": width, "rounds": rounds}
        least |= {"reach": reach, "channels": channels, "kernel": kernel}
        for name, value in least.items():
            if value < 1:
                raise HwnasError(f"estimator.{name}: must be at least 1, got {value}.")
        positive(batch=batch, lr=lr)
        from hwnas.estimate.nn.compute import drawing, settle
        from hwnas.estimate.nn.hypernetworks.ghn import Ghn
        from hwnas.estimate.nn.hypernetworks.smash import Smash
        from hwnas.estimate.nn.hypernetworks.trainer import Trainer

        settle(setting.device)
        rate = lr or {"ghn": 1e-3, "smash": 1e-2}[kind]  # much of SMASH is learned directly
        with drawing(setting.device, setting.seed):
            hypernetwork = (
                Smash(width=width, kernel=kernel)
                if kind == "smash"
                else Ghn(
                    width=width,
                    rounds=rounds,
                    sequential=order == "sequential",
                    reach=reach,
                    normalise=normalise,
                    channels=channels,
                )
            )
        self._model = self._trainer = Trainer(
            setting, hypernetwork, horizon, batch, rate, recalibrate
        )

    def _estimate(self, proposal: Proposal) -> Outcome:
        trainer, point = self._trainer, proposal.point
        if not isinstance(point, Architecture):
            raise HwnasError("weights are generated for networks, not mixtures.")
        graph = build(self.setting.space, point)
        network = trainer.network(graph)
        for _ in range(proposal.train):
            trainer.step(graph, network)
        if proposal.score == 0:
            return Outcome(proposal, spent=trainer.spent)
        trainer.fill(graph, network)
        if self.setting.keep:
            from hwnas.estimate.nn.learner import keep

            about = {"architecture": point.to_json()}
            path = self._folder / f"{proposal.id}.safetensors"
            keep(path, {"weights": network.state_dict()}, about)
        metrics = dict(trainer.score(network, proposal.score))
        return Outcome(proposal, metrics, spent=trainer.spent)
