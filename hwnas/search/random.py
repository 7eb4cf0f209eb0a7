"""Random search."""

from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.space.moves import sample


class Random(Strategy):
    """Architectures drawn choice by choice, uniformly: the baseline that everything must beat."""

    paper = "Li & Talwalkar 2019, Random search and reproducibility for NAS, arXiv:1902.07638"

    def _ask(self, n: int) -> list[Proposal]:
        context = self.context
        return [context.propose(sample(context.space, context.rng)) for _ in range(n)]

    def _tell(self, outcome: Outcome) -> None:
        """Nothing is learnt."""
