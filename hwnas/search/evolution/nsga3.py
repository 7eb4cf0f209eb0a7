"""NSGA-III."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.core.context import Context
from hwnas.search._directions import directions
from hwnas.search._told import Told, table
from hwnas.search.evolution._population import Generational

_NORM = ("ideal_point", "worst_point", "nadir_point", "extreme_points")  # what pymoo remembers


class Nsga3(Generational):
    """Non-dominated sorting, the last front thinned by niches around reference directions.

    Algorithms 1 to 4; the normalisation by extreme points and the niching are pymoo's. There are
    as many directions as a lattice has within ``population``, one with one objective. Parents
    are drawn at random, the feasible and the less violating before others (Jain & Deb 2014).
    ``crossover`` and ``mutation`` are the probabilities that a child has two parents and that one
    of its choices is changed.
    """

    paper = (
        "Deb and Jain 2014, An evolutionary many-objective optimization algorithm using "
        "reference-point-based nondominated sorting approach, part I"
    )

    def __init__(self, context: Context, *, crossover: float = 1.0, **options: Any) -> None:
        super().__init__(context, crossover=crossover, **options)
        from pymoo.algorithms.moo.nsga3 import ReferenceDirectionSurvival
        from pymoo.core.problem import Problem

        objectives = len(context.objectives)
        self._selection = ReferenceDirectionSurvival(directions(objectives, self._size))
        self._problem = Problem(n_var=1, n_obj=objectives, n_ieq_constr=1)
        self._unit: np.ndarray | None = None

    def _survivors(self, pool: list[Told]) -> list[Told]:
        from pymoo.core.population import Population

        values, violation = table(pool)
        if self._unit is None:  # pymoo takes absolute differences of 0.001 for nothing
            span = np.ptp(values, axis=0)
            self._unit = np.where(span > 0, span, 1.0)
        rows = np.arange(len(pool))[:, None]
        individuals = Population.new("X", rows, "F", values / self._unit, "G", violation[:, None])
        with warnings.catch_warnings():  # pymoo switches them off for good
            kept = self._selection.do(
                self._problem, individuals, n_survive=self._size, random_state=self.context.rng
            )
        return [pool[int(i.X[0])] for i in kept]

    def _parent(self, pool: list[Told]) -> Told:
        rivals = [pool[int(i)] for i in self.context.rng.integers(len(pool), size=2)]
        return min(rivals, key=lambda m: m.violation)  # the first of equals

    def _state(self) -> dict[str, Any]:
        norm = {name: getattr(self._selection.norm, name) for name in _NORM}
        return super()._state() | {"unit": self._unit, "norm": norm}

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        self._unit = state["unit"]
        for name, value in state["norm"].items():
            setattr(self._selection.norm, name, value)
