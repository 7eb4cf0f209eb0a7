"""MOEA/D."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.search._directions import directions
from hwnas.search._options import at_least
from hwnas.search._told import Told, table
from hwnas.search.evolution._population import Evolving

_LEAST = 1e-4  # of a weight: with none, what a subproblem does not weigh could become any worse


class Moead(Evolving):
    """Neighbouring scalar subproblems, one a weight vector, solved together.

    Section III-B: each subproblem in turn mates two members of its neighbourhood, and the child
    replaces every neighbour that it is no worse than under that neighbour's weights. Children of
    other subproblems are asked for while some are in work. ``decomposition`` is a weighted sum
    (good for few evaluations and a convex front, blind to a concave one), the Tchebycheff or the
    penalty-based boundary intersection function, by pymoo, of objectives scaled from the best
    values seen to the worst of the population. There are as many subproblems as a lattice of
    weights has within ``population``. Limits by Deb's rules: feasible before infeasible, then by
    violation. ``crossover`` and ``mutation`` are the probabilities that a child has two parents
    and that one of its choices is changed.
    """

    paper = (
        "Zhang and Li 2007, MOEA/D: A multiobjective evolutionary algorithm based on decomposition"
    )

    def __init__(
        self,
        context: Context,
        *,
        population: int = 50,
        neighbours: int = 10,
        decomposition: Literal["weighted_sum", "tchebycheff", "pbi"] = "tchebycheff",
        crossover: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(context, population=population, crossover=crossover, **options)
        at_least(2, neighbours=neighbours)
        from pymoo.decomposition.pbi import PBI
        from pymoo.decomposition.tchebicheff import Tchebicheff
        from pymoo.decomposition.weighted_sum import WeightedSum

        decompositions = {"weighted_sum": WeightedSum, "tchebycheff": Tchebicheff, "pbi": PBI}
        self._decomposition = decompositions[decomposition]()
        objectives = len(context.objectives)
        # One objective is the same subproblem over and over: its neighbours are those beside it.
        even = directions(objectives, population) if objectives > 1 else np.ones((population, 1))
        self._weights = np.maximum(even, _LEAST)
        self._size = len(even)
        apart = np.linalg.norm(even[:, None] - even, axis=2).round(9)  # ties are ties
        index = np.arange(self._size)
        gap = np.abs(index[:, None] - index)
        self._near = np.lexsort((gap, apart))[:, :neighbours]
        self._ideal = np.full(objectives, np.inf)
        self._task: dict[int, int] = {}  # the subproblem of a child in work

    def _ask(self, n: int) -> list[Proposal]:
        proposals = []
        for _ in range(n):
            task = self._begun % self._size
            first = self._begun < self._size
            pool = [] if first else [self._population[j] for j in self._around(task)]
            proposal = self.context.propose(self._child(pool))
            if not first:
                self._task[proposal.id] = task
            self._begun += 1
            proposals.append(proposal)
        return proposals

    def _around(self, task: int) -> np.ndarray:
        """The neighbours of a subproblem that have a solution: indices into the population."""
        near = self._near[task]
        return np.asarray(near[near < len(self._population)])

    def _tell(self, outcome: Outcome) -> None:
        child = self._remember(outcome)
        if child.violation <= 0:
            self._ideal = np.minimum(self._ideal, child.values)
        task = self._task.pop(outcome.proposal.id, None)
        if task is not None:
            for j in self._beaten(child, self._around(task)):
                self._population[j] = child
        if len(self._population) < self._size:
            self._population.append(child)

    def _beaten(self, child: Told, around: np.ndarray) -> np.ndarray:
        """Those of the subproblems for which the child is no worse than what they have."""
        if not len(around):
            return around
        have, violation = table([self._population[j] for j in around])
        if child.violation > 0:
            return around[violation >= child.violation]
        feasible = [m.values for m in self._population if m.violation <= 0]
        worst = np.max([*feasible, child.values], axis=0)
        span = np.where(worst > self._ideal, worst - self._ideal, 1.0)

        def scalar(values: Any) -> np.ndarray:
            scaled = (np.array(values) - self._ideal) / span
            result = self._decomposition.do(scaled, self._weights[around], _type="one_to_one")
            return np.asarray(result)

        better = scalar([child.values] * len(around)) <= scalar(have)
        return np.asarray(around[(violation > 0) | better])

    def _lost(self, outcome: Outcome) -> None:
        self._task.pop(outcome.proposal.id, None)

    def _state(self) -> dict[str, Any]:
        return super()._state() | {"ideal": self._ideal, "task": list(self._task.items())}

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        self._ideal = state["ideal"]
        self._task = dict(state["task"])
