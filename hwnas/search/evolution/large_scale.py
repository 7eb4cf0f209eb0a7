"""Large-scale evolution."""

from collections.abc import Mapping
from typing import Any

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.pareto import order
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._options import at_least
from hwnas.search._seen import Seen
from hwnas.search._told import Told, table
from hwnas.space.moves import morph, sample


class LargeScale(Strategy):
    """Two of the population meet: the worse dies, the better has a child with its weights.

    Section 3.1: each pair is drawn at random, the loser is removed at once and the winner's copy,
    mutated once, begins with the winner's weights where the mutation left them as they were, is
    trained and put into the population. Pairs meet whenever a worker is free, while the children of
    others are in training. A child that failed takes nobody's place. With several objectives the
    better of a pair is told by front and crowding in the population (Deb et al. 2002).

    The paper's population is 1000, of which all begin as the same trivial network without a
    convolution; here they are random ones, and by default so few that a budget of hundreds has
    many generations. A child that is known already is mutated once more.
    """

    paper = "Real et al. 2017, Large-scale evolution of image classifiers, arXiv:1703.01041"
    needs = frozenset({"parent", "inherit"})

    def __init__(self, context: Context, *, population: int = 20) -> None:
        super().__init__(context)
        at_least(2, population=population)
        self._size = population
        self._population: list[Told] = []
        self._losers: dict[int, Told] = {}  # by the child that is to take their place
        self._seen = Seen()

    def _ask(self, n: int) -> list[Proposal]:
        proposals: list[Proposal] = []
        for _ in range(n):
            if len(self._population) + len(self.pending) + len(proposals) < self._size:
                proposals.append(self.context.propose(self._new(None)))
            elif len(self._population) > 1:
                winner, loser = self._pair()
                child = self.context.propose(self._new(winner.architecture), parent=winner.id)
                self._losers[child.id] = loser
                proposals.append(child)
            else:
                break  # the others are in training
        return proposals

    def _pair(self) -> tuple[Told, Told]:
        """Winner and loser of two drawn at random; the loser is no longer in the population."""
        ranked = order(*table(self._population)).tolist()
        drawn = self.context.rng.choice(len(self._population), size=2, replace=False)
        better, worse = sorted(map(int, drawn), key=ranked.index)
        winner = self._population[better]
        return winner, self._population.pop(worse)

    def _new(self, parent: Architecture | None) -> Architecture:
        """A child, or without a parent a random network; a known one only if no other is found."""
        space, rng = self.context.space, self.context.rng
        child = parent

        def make() -> Architecture:
            nonlocal child
            child = sample(space, rng) if parent is None else morph(space, child or parent, rng)
            return child

        new = self._seen.fresh(make) or make()
        self._seen.add(new)
        return new

    def _tell(self, outcome: Outcome) -> None:
        self._population.append(Told.of(outcome, self.context.objectives))
        self._losers.pop(outcome.proposal.id, None)

    def _lost(self, outcome: Outcome) -> None:
        loser = self._losers.pop(outcome.proposal.id, None)
        if loser is not None:
            self._population.append(loser)

    def _state(self) -> dict[str, Any]:
        return {
            "population": [told.state for told in self._population],
            "losers": [[child, told.state] for child, told in self._losers.items()],
            "seen": self._seen.state(),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        objectives = self.context.objectives
        self._population = [Told.load(t, objectives) for t in state["population"]]
        self._losers = {child: Told.load(t, objectives) for child, t in state["losers"]}
        self._seen.load(state["seen"])
