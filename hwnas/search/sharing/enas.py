"""ENAS: efficient neural architecture search by parameter sharing."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.mixture import Mixture
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.search._options import at_least
from hwnas.search.policy._policy import Drawn
from hwnas.search.policy.reinforce import Reinforce
from hwnas.space.replay import relax


class ENAS(Reinforce):
    """A policy, and the weights that the networks it draws share, are trained by turns.

    Each of ``rounds`` rounds trains the weights for ``shared_steps`` steps, on another network of
    the policy every time (section 2.2: equation 2 with M = 1), and then, with the weights as they
    are, the policy on ``controller_steps`` networks that it draws, each scored on one batch of
    validation data. Neither counts as a trial. In the end (section 2.2, deriving architectures) the
    policy rests, and networks that it draws, each another one, are scored on all validation data.

    The policy learns by REINFORCE from each ``batch`` of scored networks: rewards, the moving
    average (``decay``) that is their baseline and the ``entropy`` bonus are those of the strategy
    ``reinforce``, so several objectives are served by one policy. The latest score of a network
    counts. Objectives that no batch tells must be cheap: known of a network that was not trained.

    The paper has 310 rounds, the authors' code 20 networks a batch, lr 0.0035 and a bonus of 1e-4;
    logits are bounded there, here the bonus alone keeps the policy from closing too soon.
    """

    paper = "Pham et al. 2018, Efficient NAS via parameter sharing, arXiv:1802.03268"
    needs = frozenset({"shared", "mixture"})

    def __init__(
        self,
        context: Context,
        redraws: int = 20,
        *,
        rounds: int = 10,
        shared_steps: int = 50,
        controller_steps: int = 30,
        batch: int = 10,
        lr: float = 0.01,
        **options: Any,
    ) -> None:
        super().__init__(context, batch=batch, lr=lr, redraws=redraws, **options)
        at_least(1, rounds=rounds, shared_steps=shared_steps, controller_steps=controller_steps)
        _, self._choices = relax(context.space)
        self._shared_steps = shared_steps
        self._round = shared_steps + controller_steps
        self._steps = rounds * self._round
        self._step = 0

    @property
    def progress(self) -> tuple[int, int]:
        """Steps of both kinds, and trials."""
        done, total = super().progress
        return self._step + done, self._steps + total

    def _ask(self, n: int) -> list[Proposal]:
        if self._step == self._steps:
            return [replace(proposal, train=0) for proposal in super()._ask(n)]
        if self.pending:
            return []
        drawn = self._draw()
        if self._step % self._round < self._shared_steps:
            return [self.context.propose(drawn.architecture, train=1, score=0)]
        proposal = self.context.propose(self._one_hot(drawn.architecture), train=0, score=1)
        self._drawn[proposal.id] = drawn
        return [proposal]

    def _one_hot(self, architecture: Architecture) -> Mixture:
        """A network as a mixture, so that a batch's score is not taken for that of a trial."""
        weights = {name: architecture.weights(choice) for name, choice in self._choices.items()}
        taken = {name: tuple(w.nonzero()[0].tolist()) for name, w in weights.items()}
        return Mixture(weights, taken)

    def _tell(self, outcome: Outcome) -> None:
        if outcome.proposal.score != 0:
            super()._tell(self._of_network(outcome))
        self._step += not outcome.proposal.is_trial

    def _lost(self, outcome: Outcome) -> None:
        if outcome.proposal.score != 0:
            super()._lost(self._of_network(outcome))
        self._step += not outcome.proposal.is_trial

    def _of_network(self, outcome: Outcome) -> Outcome:
        """A batch's score as that of the network drawn, its cheap metrics among it."""
        if outcome.proposal.is_trial:
            return outcome
        network = self._drawn[outcome.proposal.id].architecture
        metrics = {**outcome.metrics, **self.context.costs(network)}
        unknown = [o.name for o in self.context.objectives if o.name not in metrics]
        if unknown and outcome.failed is None:
            raise HwnasError(
                f"enas: {', '.join(unknown)} of a network is not known before it is measured.",
                "Take objectives that the estimator scores or that are cheap, such as flops.",
            )
        return replace(outcome, proposal=replace(outcome.proposal, point=network), metrics=metrics)

    def _reward(self, drawn: Drawn) -> None:
        if self._step < self._steps:  # then it rests
            super()._reward(drawn)

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "step": self._step}

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        self._step = state["step"]
