"""What the multi-objective evolutionary strategies share: new children, generations."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._options import at_least, within
from hwnas.search._seen import Seen
from hwnas.search._told import Told
from hwnas.space import moves

_DIGITS = 10  # of an architecture's key


class Evolving(Strategy):
    """A population whose children are crossed, mutated, and networks not asked for before.

    After fifty known children a random network takes their place, and where fifty of those are
    known too, because a small space is known by heart, a child is asked for again.
    """

    def __init__(
        self,
        context: Context,
        *,
        population: int = 20,
        crossover: float = 0.9,
        mutation: float = 0.9,
    ) -> None:
        super().__init__(context)
        at_least(2, population=population)
        within(0, 1, crossover=crossover, mutation=mutation)
        self._size = population
        self._crossover = crossover
        self._mutation = mutation
        self._population: list[Told] = []
        self._begun = 0
        self._seen = Seen()

    def _parent(self, pool: list[Told]) -> Told:
        return pool[int(self.context.rng.integers(len(pool)))]

    def _child(self, pool: list[Told]) -> Architecture:
        """Of two parents in ``pool``; a random network if there are none."""

        def random() -> Architecture:
            return moves.sample(self.context.space, self.context.rng)

        def mate() -> Architecture:
            return self._mate(pool)

        make = mate if pool else random
        child = self._seen.fresh(make) or self._seen.fresh(random) or make()
        self._seen.add(child)
        return child

    def _mate(self, pool: list[Told]) -> Architecture:
        space, rng = self.context.space, self.context.rng
        child = self._parent(pool).architecture
        if rng.random() < self._crossover:
            child = moves.cross(space, child, self._parent(pool).architecture, rng)
        return moves.mutate(space, child, rng) if rng.random() < self._mutation else child

    def _remember(self, outcome: Outcome) -> Told:
        return Told.of(outcome, self.context.objectives)

    def _state(self) -> dict[str, Any]:
        return {
            "population": [m.state for m in self._population],
            "begun": self._begun,
            "seen": "".join(self._seen.state()),  # one text is written faster than thousands
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._population = [Told.load(t, self.context.objectives) for t in state["population"]]
        self._begun = state["begun"]
        keys = state["seen"]
        self._seen.load(keys[i : i + _DIGITS] for i in range(0, len(keys), _DIGITS))


class Generational(Evolving):
    """A generation is told as a whole, then who survives is selected; failed members drop out."""

    def __init__(self, context: Context, **options: Any) -> None:
        super().__init__(context, **options)
        self._told: list[Told] = []

    @abstractmethod
    def _survivors(self, pool: list[Told]) -> list[Told]:
        """At most as many as the population has, of the population and its children."""

    def _ask(self, n: int) -> list[Proposal]:
        if self._begun == self._size and not self.pending:
            if self._told:
                self._population = self._survivors(self._population + self._told)
            self._told, self._begun = [], 0
        count = min(n, self._size - self._begun)
        self._begun += count
        return [self.context.propose(self._child(self._population)) for _ in range(count)]

    def _tell(self, outcome: Outcome) -> None:
        self._told.append(self._remember(outcome))

    def _state(self) -> dict[str, Any]:
        return super()._state() | {"told": [m.state for m in self._told]}

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        self._told = [Told.load(t, self.context.objectives) for t in state["told"]]
