"""Regularised (aging) evolution."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.outcome import Outcome
from hwnas.core.pareto import order
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._told import Told, table
from hwnas.space.moves import mutate, sample


class Aging(Strategy):
    """Tournament, one mutation, and the oldest dies, however good it is.

    A random population of ``population`` is followed by mutants of the best of ``sample`` members
    drawn with replacement (Algorithm 1). With several objectives the best of a tournament is told
    by front and crowding in the population (Deb et al. 2002). A mutant may be known: it is trained
    again, as in the paper (``search.cache`` spares that).
    """

    paper = "Real et al. 2019, Regularized evolution for image classifiers, arXiv:1802.01548"

    def __init__(self, context: Context, *, population: int = 100, sample: int = 25) -> None:
        super().__init__(context)
        if not 1 <= sample <= population:
            raise HwnasError(
                f"search.sample: must be from 1 to the population ({population}), got {sample}."
            )
        self._size = population
        self._sample = sample
        self._begun = 0
        self._place: np.ndarray | None = None  # of each member in the order, until one is told
        self._population: deque[Told] = deque(maxlen=population)

    def _ask(self, n: int) -> list[Proposal]:
        proposals = []
        for _ in range(n):
            if self._begun < self._size:
                self._begun += 1
                child = sample(self.context.space, self.context.rng)
            elif self._population:
                child = mutate(self.context.space, self._parent(), self.context.rng)
            else:
                break
            proposals.append(self.context.propose(child))
        return proposals

    def _parent(self) -> Architecture:
        if self._place is None:
            self._place = np.argsort(order(*table(self._population)))
        drawn = self.context.rng.integers(len(self._population), size=self._sample)
        return self._population[drawn[self._place[drawn].argmin()]].architecture

    def _tell(self, outcome: Outcome) -> None:
        self._place = None
        told = Told.of(outcome, self.context.objectives)
        self._population.append(told)  # a full deque drops its oldest

    def _lost(self, outcome: Outcome) -> None:
        if not self._population:  # nobody to mutate: draw another
            self._begun = min(self._begun, self._size - 1)

    def _state(self) -> dict[str, Any]:
        return {
            "begun": self._begun,
            "population": [told.state for told in self._population],
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._begun = state["begun"]
        self._place = None
        self._population.clear()
        self._population.extend(Told.load(t, self.context.objectives) for t in state["population"])
