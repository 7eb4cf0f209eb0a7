"""The tree-structured Parzen estimator."""

from collections.abc import Mapping
from typing import Any

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._options import at_least
from hwnas.search._seen import Seen
from hwnas.search.bayes._study import Study, propose


class TPE(Strategy):
    """Draws what is likelier among the good networks than among the others, by Optuna's sampler.

    After ``startup`` random networks the best tenth of those told and the rest are each given a
    density over all choices at once (Falkner et al. 2018, section 3.2); of ``candidates`` drawn
    from that of the good ones, that with the highest ratio is asked for (Bergstra et al. 2011,
    section 4). Several objectives are split by non-dominated rank, the last front by hypervolume
    (Ozaki et al. 2022); what breaks a limit is never good while enough else is. Networks in work
    count as bad, so that those asked for together differ (constant liar).

    A network that was asked for before is replaced: first by what the model proposes next, then by
    a mutant of it, then by a random one. Only where all these are known is it asked for again.
    """

    paper = (
        "Bergstra et al. 2011, Algorithms for hyper-parameter optimization;"
        " Ozaki et al. 2022, Multiobjective tree-structured Parzen estimator"
    )

    def __init__(self, context: Context, *, startup: int = 10, candidates: int = 24) -> None:
        super().__init__(context)
        at_least(1, startup=startup, candidates=candidates)
        self._study = Study(context.space, len(context.objectives), startup, candidates)
        self._seen = Seen()

    def _ask(self, n: int) -> list[Proposal]:
        proposals: list[Proposal] = []
        waiting = [p.point for p in self.pending.values() if isinstance(p.point, Architecture)]
        for _ in range(n):
            waiting.append(propose(self.context, self._study, waiting, self._seen))
            proposals.append(self.context.propose(waiting[-1]))
        return proposals

    def _tell(self, outcome: Outcome) -> None:
        self._study.observe(outcome, self.context.objectives)

    def _state(self) -> dict[str, Any]:
        return {"told": self._study.state(), "seen": self._seen.state()}

    def _load(self, state: Mapping[str, Any]) -> None:
        self._study.load(state["told"])
        self._seen.load(state["seen"])
