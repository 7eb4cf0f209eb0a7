"""pymoo's operators on architectures. Imported only where an algorithm of pymoo runs."""

from typing import Any

import numpy as np
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.core.sampling import Sampling

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.space import moves


def problem(context: Context) -> Problem:
    """A problem of one variable, the architecture, and one constraint, the limits' violation."""
    return Problem(n_var=1, n_obj=len(context.objectives), n_ieq_constr=1, vtype=object)


def _column(architectures: list[Architecture]) -> np.ndarray:
    """An object array of shape ``[n, 1]``; numpy would take a mapping apart otherwise."""
    column = np.empty((len(architectures), 1), dtype=object)
    for i, architecture in enumerate(architectures):
        column[i, 0] = architecture
    return column


class Sample(Sampling):
    """Uniform random architectures."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context

    def _do(self, problem: Any, n_samples: int, **_: Any) -> np.ndarray:
        context = self._context
        return _column([moves.sample(context.space, context.rng) for _ in range(n_samples)])


class Cross(Crossover):
    """Uniform crossover of two parents into two children."""

    def __init__(self, context: Context, prob: float) -> None:
        super().__init__(n_parents=2, n_offsprings=2, prob=prob)
        self._context = context

    def _do(self, problem: Any, X: np.ndarray, **_: Any) -> np.ndarray:
        space, rng = self._context.space, self._context.rng
        children = np.empty_like(X)
        for k in range(X.shape[1]):
            mother, father = X[0, k, 0], X[1, k, 0]
            children[0, k, 0] = moves.cross(space, mother, father, rng)
            children[1, k, 0] = moves.cross(space, father, mother, rng)
        return children


class Mutate(Mutation):
    """One choice of each child changed."""

    def __init__(self, context: Context, prob: float) -> None:
        super().__init__(prob=prob)
        self._context = context

    def _do(self, problem: Any, X: np.ndarray, **_: Any) -> np.ndarray:
        space, rng = self._context.space, self._context.rng
        return _column([moves.mutate(space, x, rng) for x in X[:, 0]])


class Distinct(DuplicateElimination):
    """Architectures already in the population, or earlier among the children, are dropped."""

    def _do(self, pop: Any, other: Any, is_duplicate: np.ndarray) -> np.ndarray:
        seen = set() if other is None else {x.X[0] for x in other}
        for i, individual in enumerate(pop):
            is_duplicate[i] |= individual.X[0] in seen
            if other is None:
                seen.add(individual.X[0])
        return is_duplicate
