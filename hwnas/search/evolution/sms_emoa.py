"""SMS-EMOA."""

import numpy as np

from hwnas.core.outcome import Outcome
from hwnas.core.pareto import fronts, hypervolume
from hwnas.core.proposal import Proposal
from hwnas.search._told import table
from hwnas.search.evolution._population import Evolving


class SmsEmoa(Evolving):
    """Of the worst front, the member that adds the least hypervolume dies.

    Steady state (Algorithm 1): every child joins the population at once and one member leaves it
    (Algorithm 2), so that children are asked for while others are in work. Parents are drawn
    uniformly. Contributions are measured on objectives scaled by the population's range, from a
    reference point one range behind the worst values; with two objectives the ends of the front
    stay. Infeasible members leave first, by violation. ``crossover`` and ``mutation`` are the
    probabilities that a child has two parents and that one of its choices is changed.
    """

    paper = (
        "Beume, Naujoks and Emmerich 2007, SMS-EMOA: Multiobjective selection based on "
        "dominated hypervolume"
    )

    def _ask(self, n: int) -> list[Proposal]:
        proposals = []
        for _ in range(n):
            pool = self._population if self._begun >= self._size else []
            self._begun += 1
            proposals.append(self.context.propose(self._child(pool)))
        return proposals

    def _tell(self, outcome: Outcome) -> None:
        self._population.append(self._remember(outcome))
        if len(self._population) > self._size:
            del self._population[self._worst()]

    def _worst(self) -> int:
        """Reduce, Algorithm 2."""
        values, violation = table(self._population)
        last = fronts(values, violation)[-1]
        if violation[last[0]] > 0:
            return int(last[0])
        low, high = values[violation <= 0].min(axis=0), values[violation <= 0].max(axis=0)
        scaled = (values[last] - low) / np.where(high > low, high - low, 1.0)
        return int(last[contributions(scaled).argmin()])


def contributions(values: np.ndarray) -> np.ndarray:
    """The hypervolume that only this row of a front dominates, shape ``[n]``."""
    n, objectives = values.shape
    reference = values.max(axis=0) + 1.0
    whole = hypervolume(values, reference)
    lost = [whole - hypervolume(np.delete(values, i, axis=0), reference) for i in range(n)]
    result = np.array(lost)
    if objectives == 2:
        result[values.argmin(axis=0)] = np.inf
    return result
