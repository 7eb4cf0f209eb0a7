"""BOHB: Bayesian optimisation and Hyperband."""

from collections.abc import Mapping
from typing import Any

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._options import at_least, within
from hwnas.search._seen import Seen
from hwnas.search.bayes._study import Study, propose
from hwnas.search.halving._brackets import Brackets, cycle
from hwnas.search.halving._halving import rungs
from hwnas.space.moves import sample


class BOHB(Brackets):
    """Hyperband whose networks are proposed by a model of earlier scores.

    There is a model for every number of training units, so that no two fidelities are compared. A
    new network comes from that of the most units that at least d + 3 networks have been told with,
    where d is their number of choices (algorithm 2 with N_min = d + 1). Until there is one, and for
    the share ``random`` of the networks, it is random. The models are those of the strategy tpe,
    which takes the best of ``candidates``: Optuna's densities stand for the paper's kernels, whose
    bandwidth is widened to explore, and networks in work count as bad instead.
    """

    paper = (
        "Falkner et al. 2018, BOHB: Robust and efficient hyperparameter optimization at scale,"
        " arXiv:1807.01774"
    )

    def __init__(
        self,
        context: Context,
        *,
        eta: int = 3,
        least: int = 1,
        random: float = 1 / 3,
        candidates: int = 64,
    ) -> None:
        within(0, 1, random=random)
        at_least(1, candidates=candidates)
        units = rungs(context.units, eta, least)
        self._models = _Models(context.inner(), random, candidates)
        super().__init__(context, self._models, eta, units, cycle(len(units) - 1, eta))

    def _tell(self, outcome: Outcome) -> None:
        self._models.observe(outcome)
        super()._tell(outcome)


class _Models(Strategy):
    """Proposes the networks; a study for every number of training units seen."""

    def __init__(self, context: Context, random: float, candidates: int) -> None:
        super().__init__(context)
        self._random = random
        self._candidates = candidates
        self._studies: dict[int, Study] = {}
        self._seen = Seen()

    def _study(self, units: int) -> Study:
        if units not in self._studies:
            space, objectives = self.context.space, len(self.context.objectives)
            self._studies[units] = Study(space, objectives, 1, self._candidates)
        return self._studies[units]

    def observe(self, outcome: Outcome) -> None:
        """Learn the score of a network after the training it has had."""
        self._study(outcome.spent.train).observe(outcome, self.context.objectives)

    def _ask(self, n: int) -> list[Proposal]:
        proposals: list[Proposal] = []
        waiting = [p.point for p in self.pending.values() if isinstance(p.point, Architecture)]
        for _ in range(n):
            waiting.append(self._draw(waiting))
            proposals.append(self.context.propose(waiting[-1]))
        return proposals

    def _draw(self, waiting: list[Architecture]) -> Architecture:
        context, studies = self.context, self._studies
        known = [units for units, study in studies.items() if len(study) >= study.width + 3]
        if known and context.rng.random() >= self._random:
            return propose(context, studies[max(known)], waiting, self._seen)
        architecture = self._seen.fresh(self._sample) or self._sample()
        self._seen.add(architecture)
        return architecture

    def _sample(self) -> Architecture:
        return sample(self.context.space, self.context.rng)

    def _tell(self, outcome: Outcome) -> None:
        """It is observed on every rung instead."""

    def _state(self) -> dict[str, Any]:
        studies = sorted(self._studies.items())
        return {"studies": [[u, s.state()] for u, s in studies], "seen": self._seen.state()}

    def _load(self, state: Mapping[str, Any]) -> None:
        self._studies = {}
        for units, told in state["studies"]:
            self._study(units).load(told)
        self._seen.load(state["seen"])
