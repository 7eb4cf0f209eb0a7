"""NSGA-II."""

from hwnas.core.pareto import order
from hwnas.search._told import Told, table
from hwnas.search.evolution._population import Generational


class Nsga2(Generational):
    """Non-dominated sorting and crowding over all objectives at once.

    The main loop of section III-C: parents are won in binary tournaments by the crowded comparison,
    the survivors are the best of parents and children by front, then by crowding. ``crossover``
    and ``mutation`` are the probabilities that a child has two parents and that one of its
    choices is changed. Limits are constraints: infeasible members rank behind feasible ones
    (constrained domination, section VI).
    """

    paper = "Deb et al. 2002, A fast and elitist multiobjective genetic algorithm: NSGA-II"

    def _survivors(self, pool: list[Told]) -> list[Told]:
        """Best first, which is how the tournament knows who wins; ties are drawn."""
        pool = [pool[i] for i in self.context.rng.permutation(len(pool))]
        ranked = order(*table(pool))
        return [pool[i] for i in ranked[: self._size]]

    def _parent(self, pool: list[Told]) -> Told:
        rng = self.context.rng
        return pool[int(len(pool) * min(rng.random(), rng.random()))]
