"""Evolution by tournaments in a population that only grows."""

from collections.abc import Mapping
from math import ceil
from typing import Any

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.outcome import Outcome
from hwnas.core.preference import Preference
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._options import at_least
from hwnas.search._seen import Seen
from hwnas.search._told import Told, table
from hwnas.space.moves import mutate, sample


class Hierarchical(Strategy):
    """Tournaments of a share of all networks so far; the winner is mutated, and nobody dies.

    Section 3: a tournament is a random ``share`` of the population, whose best has a mutant that is
    trained from scratch and added. As nothing is removed, selection grows stronger as the
    population does. Mutants are asked for whenever a worker is free. With several objectives each
    tournament is judged under a preference of its own.

    The paper begins with 200 networks, of 7000 in all, each the trivial one mutated 1000 times, and
    has a ``share`` of 0.05. Here ``population`` random ones are the first, by default a tenth as
    many and the share ten times as large: for budgets of hundreds the first tournaments have as
    many members, and their winners are of the same top tenth. What is known is not asked for again;
    the search ends when nothing new is found.
    """

    paper = (
        "Liu et al. 2018, Hierarchical representations for efficient architecture search, "
        "arXiv:1711.00436"
    )

    def __init__(self, context: Context, *, population: int = 20, share: float = 0.5) -> None:
        super().__init__(context)
        at_least(1, population=population)
        if not 0 < share <= 1:
            raise HwnasError(f"search.share: must be above 0 and at most 1, got {share}.")
        self._size = population
        self._share = share
        self._preference = Preference(context.objectives)
        self._population: list[Told] = []
        self._seen = Seen()
        self._over = False

    def _ask(self, n: int) -> list[Proposal]:
        proposals: list[Proposal] = []
        for _ in range(n):
            if len(self._population) + len(self.pending) + len(proposals) < self._size:
                new = self._seen.fresh(self._sample)
            elif self._population:
                new = self._seen.fresh(self._mutant) or self._seen.fresh(self._sample)
            else:
                break  # the first are in training
            if new is None:
                self._over = True
                break
            self._seen.add(new)
            proposals.append(self.context.propose(new))
        return proposals

    def _sample(self) -> Architecture:
        return sample(self.context.space, self.context.rng)

    def _mutant(self) -> Architecture:
        return mutate(self.context.space, self._winner(), self.context.rng)

    def _winner(self) -> Architecture:
        rng = self.context.rng
        preference = self._preference.draw(rng)
        size = min(len(self._population), max(2, ceil(self._share * len(self._population))))
        drawn = rng.choice(len(self._population), size=size, replace=False)
        members = [self._population[int(i)] for i in drawn]
        worth = self._preference.table(*table(members), preference[None])[:, 0]
        return members[int(worth.argmin())].architecture

    def _tell(self, outcome: Outcome) -> None:
        self._population.append(Told.of(outcome, self.context.objectives))
        self._preference.observe(outcome.metrics)

    @property
    def _exhausted(self) -> bool:
        return self._over

    def _state(self) -> dict[str, Any]:
        return {
            "preference": self._preference.state_dict(),
            "population": [told.state for told in self._population],
            "seen": self._seen.state(),
            "over": self._over,
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._preference.load_state_dict(state["preference"])
        self._population = [Told.load(t, self.context.objectives) for t in state["population"]]
        self._seen.load(state["seen"])
        self._over = state["over"]
