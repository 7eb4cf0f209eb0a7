"""NSGA-II."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy


class Nsga2(Strategy):
    """Non-dominated sorting and crowding over all objectives at once, by pymoo's ask and tell.

    ``crossover`` and ``mutation`` are the probabilities that a child has two parents and that one
    of its choices is changed. A generation ends when all its members are told; failed ones drop
    out. Limits are constraints: infeasible members rank behind feasible ones (constrained
    domination).
    """

    paper = "Deb et al. 2002, A fast and elitist multiobjective genetic algorithm: NSGA-II"

    def __init__(
        self,
        context: Context,
        *,
        population: int = 20,
        crossover: float = 0.9,
        mutation: float = 0.9,
    ) -> None:
        super().__init__(context)
        if population < 2:
            raise HwnasError(f"search.population: must be at least 2, got {population}.")
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.termination import NoTermination

        from hwnas.search.evolution import _operators as operators

        self._algorithm = NSGA2(
            pop_size=population,
            sampling=operators.Sample(context),
            crossover=operators.Cross(context, crossover),
            mutation=operators.Mutate(context, mutation),
            eliminate_duplicates=operators.Distinct(),
        ).setup(operators.problem(context), termination=NoTermination())
        self._algorithm.random_state = context.rng
        self._queue: list[Architecture] = []
        self._told: list[tuple[Architecture, np.ndarray, float]] = []

    def _ask(self, n: int) -> list[Proposal]:
        if not self._queue and not self.pending:
            if self._told:
                self._advance()
            self._queue = self._offspring()
        taken, self._queue = self._queue[:n], self._queue[n:]
        return [self.context.propose(architecture) for architecture in taken]

    def _offspring(self) -> list[Architecture]:
        infills = self._algorithm.ask()
        if infills is None:  # every child is a duplicate: a small space is known by heart
            infills = self._algorithm.initialization.sampling(
                self._algorithm.problem, self._algorithm.pop_size
            )
        return [individual.X[0] for individual in infills]

    def _advance(self) -> None:
        """Hand the told generation to pymoo, which selects the survivors."""
        self._algorithm.tell(infills=_population(self._told))
        self._told = []

    def _tell(self, outcome: Outcome) -> None:
        objectives = self.context.objectives
        architecture = outcome.proposal.point
        assert isinstance(architecture, Architecture)
        values = objectives.values(outcome.metrics)
        self._told.append((architecture, values, objectives.violation(outcome.metrics)))

    def _state(self) -> dict[str, Any]:
        pop = self._algorithm.pop if self._algorithm.is_initialized else []
        return {
            "queue": [a.to_json() for a in self._queue],
            "told": [[a.to_json(), values, violation] for a, values, violation in self._told],
            "generation": self._algorithm.n_iter,
            "population": [[i.X[0].to_json(), i.F, float(i.G[0])] for i in pop],
            # Not recomputed: crowding was measured before the last front was cut. Infeasible
            # members have neither.
            "rank": [_plain(i.get("rank")) for i in pop],
            "crowding": [_plain(i.get("crowding")) for i in pop],
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._queue = [Architecture.from_json(a) for a in state["queue"]]
        self._told = [(Architecture.from_json(a), f, g) for a, f, g in state["told"]]
        algorithm = self._algorithm
        algorithm.n_iter = state["generation"]
        algorithm.is_initialized = bool(state["population"])
        if algorithm.is_initialized:
            members = [(Architecture.from_json(a), f, g) for a, f, g in state["population"]]
            algorithm.pop = _population(members)
            algorithm.pop.set("rank", state["rank"])
            algorithm.pop.set("crowding", state["crowding"])


def _plain(value: Any) -> float | None:
    return None if value is None else float(value)


def _population(members: list[tuple[Architecture, np.ndarray, float]]) -> Any:
    """A pymoo population that has been evaluated."""
    from pymoo.core.individual import Individual
    from pymoo.core.population import Population

    individuals = []
    for architecture, values, violation in members:
        x = np.empty(1, dtype=object)
        x[0] = architecture
        individuals.append(Individual(X=x, F=values, G=np.array([violation])))
    return Population.create(*individuals)
