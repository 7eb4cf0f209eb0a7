"""Hyperband."""

from typing import Any

from hwnas.core.context import Context
from hwnas.search.halving._brackets import Brackets, cycle
from hwnas.search.halving._halving import rungs, wrapped


class Hyperband(Brackets):
    """Brackets of successive halving, from many networks trained little to few trained in full.

    A bracket begins with architectures of the inner ``strategy`` on few training units, never
    fewer than ``least``, and promotes the best share of 1 / ``eta`` of each rung: the same point,
    its weights kept, more training. Several objectives are ranked by front, among all that ever
    reached the rung, and of a front that is too large a diverse part goes on. The inner strategy
    hears of survivors with the scores of their full training; the others are lost to it, so that
    it never compares scores of different fidelity. ``search.evaluations`` counts trials of any
    fidelity: a cycle of all brackets has 22 with eta 3 and 9 units.
    """

    paper = "Li et al. 2018, Hyperband, arXiv:1603.06560"

    def __init__(
        self,
        context: Context,
        *,
        eta: int = 3,
        least: int = 1,
        strategy: dict[str, Any] | None = None,
    ) -> None:
        units = rungs(context.units, eta, least)
        super().__init__(
            context, wrapped(context, strategy), eta, units, cycle(len(units) - 1, eta)
        )
