"""Successive halving."""

from typing import Any

from hwnas.core.context import Context
from hwnas.search._options import at_least
from hwnas.search.halving._brackets import Brackets
from hwnas.search.halving._halving import rungs, wrapped


class SuccessiveHalving(Brackets):
    """Rounds of many networks trained little, of which ever fewer are trained ever more.

    A round begins with ``networks`` of the inner ``strategy`` on the fewest training units of
    ``units / eta^k`` that are not below ``least``, and promotes the best share of 1 / ``eta`` of
    each rung: the same point, its weights kept, more training (Jamieson & Talwalkar 2016,
    algorithm 1, with ``eta`` for its 2). By default so many begin that one is trained in full. When
    a round is over the next one begins, as long as the budget lasts. Several objectives and the
    inner strategy are dealt with as in Hyperband, of which this is the first bracket.
    """

    paper = (
        "Karnin et al. 2013, Almost optimal exploration in multi-armed bandits;"
        " Jamieson & Talwalkar 2016, Non-stochastic best arm identification, arXiv:1502.07943"
    )

    def __init__(
        self,
        context: Context,
        *,
        eta: int = 3,
        least: int = 1,
        networks: int | None = None,
        strategy: dict[str, Any] | None = None,
    ) -> None:
        units = rungs(context.units, eta, least)
        if networks is None:
            networks = eta ** (len(units) - 1)
        at_least(1, networks=networks)
        super().__init__(context, wrapped(context, strategy), eta, units, [(0, networks)])
