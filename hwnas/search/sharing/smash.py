"""SMASH: one-shot model architecture search through hypernetworks."""

from collections.abc import Mapping
from typing import Any

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.pareto import front
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._options import within
from hwnas.search._seen import Seen
from hwnas.search._told import Told, table
from hwnas.search.sharing._warmed import Warmed
from hwnas.space.moves import mutate, sample


class SMASH(Warmed):
    """Random networks train a hypernetwork; then random ones are scored and the best perturbed.

    Algorithm 1: every one of ``steps`` steps trains the hypernetwork on one random network, then
    random networks are scored with the weights that it generates. After a share ``random`` of the
    budget, as in the authors' code, the best network so far is perturbed, here by changing one of
    its choices; with several objectives a network of the front, drawn anew each time.
    """

    paper = (
        "Brock et al. 2018, SMASH: One-shot model architecture search through hypernetworks,"
        " arXiv:1708.05344"
    )

    def __init__(self, context: Context, *, steps: int = 500, random: float = 0.7) -> None:
        within(0, 1, random=random)
        super().__init__(context, steps, _Perturbed(context.inner(), random))


class _Perturbed(Strategy):
    """Random networks, then perturbed ones of the front; new ones while some are found."""

    def __init__(self, context: Context, random: float) -> None:
        super().__init__(context)
        self._random = random * context.evaluations
        self._seen = Seen()
        self._front: list[Told] = []

    def _ask(self, n: int) -> list[Proposal]:
        return [self.context.propose(self._new()) for _ in range(n)]

    def _new(self) -> Architecture:
        make = self._sample if len(self._seen) < self._random else self._perturb
        new = self._seen.fresh(make) or self._seen.fresh(self._sample) or self._sample()
        self._seen.add(new)
        return new

    def _sample(self) -> Architecture:
        return sample(self.context.space, self.context.rng)

    def _perturb(self) -> Architecture:
        if not self._front:
            return self._sample()
        base = self._front[int(self.context.rng.integers(len(self._front)))]
        return mutate(self.context.space, base.architecture, self.context.rng)

    def _tell(self, outcome: Outcome) -> None:
        told = [*self._front, Told.of(outcome, self.context.objectives)]
        self._front = [told[i] for i in front(*table(told))]

    def _state(self) -> dict[str, Any]:
        return {"seen": self._seen.state(), "front": [told.state for told in self._front]}

    def _load(self, state: Mapping[str, Any]) -> None:
        self._seen.load(state["seen"])
        self._front = [Told.load(told, self.context.objectives) for told in state["front"]]
