"""What the multi-objective evolutionary strategies share: members, new children, generations."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._seen import Seen
from hwnas.space import moves

_DIGITS = 10  # of an architecture's key


@dataclass(frozen=True)
class Member:
    """A network, its signed values, shape ``[n_objectives]``, and by how much it passes limits."""

    architecture: Architecture
    values: np.ndarray
    violation: float

    @cached_property
    def state(self) -> list[Any]:
        """Plain JSON, made once, because a snapshot is written after every outcome."""
        return [self.architecture.to_json(), self.values.tolist(), self.violation]

    @classmethod
    def load(cls, state: Sequence[Any]) -> "Member":
        """The inverse of :attr:`state`."""
        architecture, values, violation = state
        return cls(Architecture.from_json(architecture), np.array(values), violation)


class Evolving(Strategy):
    """A population whose children are crossed, mutated, and networks not asked for before.

    After fifty known children a random network takes their place, and where fifty of those are
    known too, because a small space is known by heart, a child is asked for again.
    """

    def __init__(
        self, context: Context, population: int, crossover: float, mutation: float
    ) -> None:
        super().__init__(context)
        if population < 2:
            raise HwnasError(f"search.population: must be at least 2, got {population}.")
        for name, share in (("crossover", crossover), ("mutation", mutation)):
            if not 0 <= share <= 1:
                raise HwnasError(f"search.{name}: must be from 0 to 1, got {share}.")
        self._size = population
        self._crossover = crossover
        self._mutation = mutation
        self._population: list[Member] = []
        self._begun = 0
        self._seen = Seen()

    def _parent(self, pool: list[Member]) -> Member:
        return pool[int(self.context.rng.integers(len(pool)))]

    def _child(self, pool: list[Member]) -> Architecture:
        """Of two parents in ``pool``; a random network if there are none."""

        def random() -> Architecture:
            return moves.sample(self.context.space, self.context.rng)

        def mate() -> Architecture:
            return self._mate(pool)

        make = mate if pool else random
        child = self._seen.fresh(make) or self._seen.fresh(random) or make()
        self._seen.add(child)
        return child

    def _mate(self, pool: list[Member]) -> Architecture:
        space, rng = self.context.space, self.context.rng
        child = self._parent(pool).architecture
        if rng.random() < self._crossover:
            child = moves.cross(space, child, self._parent(pool).architecture, rng)
        return moves.mutate(space, child, rng) if rng.random() < self._mutation else child

    def _member(self, outcome: Outcome) -> Member:
        architecture, objectives = outcome.proposal.point, self.context.objectives
        assert isinstance(architecture, Architecture)
        values = objectives.values(outcome.metrics)
        return Member(architecture, values, objectives.violation(outcome.metrics))

    def _state(self) -> dict[str, Any]:
        return {
            "population": [m.state for m in self._population],
            "begun": self._begun,
            "seen": "".join(self._seen.state()),  # one text is written faster than thousands
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._population = [Member.load(m) for m in state["population"]]
        self._begun = state["begun"]
        keys = state["seen"]
        self._seen.load(keys[i : i + _DIGITS] for i in range(0, len(keys), _DIGITS))


class Generational(Evolving):
    """A generation is told as a whole, then who survives is selected; failed members drop out."""

    def __init__(
        self, context: Context, population: int, crossover: float, mutation: float
    ) -> None:
        super().__init__(context, population, crossover, mutation)
        self._told: list[Member] = []

    @abstractmethod
    def _survivors(self, pool: list[Member]) -> list[Member]:
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
        self._told.append(self._member(outcome))

    def _state(self) -> dict[str, Any]:
        return super()._state() | {"told": [m.state for m in self._told]}

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        self._told = [Member.load(m) for m in state["told"]]
