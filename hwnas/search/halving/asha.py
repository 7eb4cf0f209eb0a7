"""Asynchronous successive halving."""

from typing import Any

from hwnas.core.context import Context
from hwnas.core.proposal import Proposal
from hwnas.search.halving._halving import Halving, rungs, wrapped


class ASHA(Halving):
    """Whoever is among the best of its rung so far is promoted at once, and no worker ever waits.

    A free worker trains the best network not yet promoted of the top 1 / ``eta`` of a rung, of
    the highest rung that has one; else it begins a new network of the inner ``strategy`` on the
    lowest rung (algorithm 2), which has not fewer than ``least`` training units. Several
    objectives are ranked by front, and of a front that is too many those far from the promoted
    come first (cf. MO-ASHA). The inner strategy hears of those trained in full. Others may be
    promoted later still, so it believes them in work; only if it waits for them, and nothing else
    is left to do, are they lost to it.
    """

    paper = (
        "Li et al. 2020, A system for massively parallel hyperparameter tuning, arXiv:1810.05934"
    )

    def __init__(
        self,
        context: Context,
        *,
        eta: int = 3,
        least: int = 1,
        strategy: dict[str, Any] | None = None,
    ) -> None:
        units = rungs(context.units, eta, least)
        super().__init__(context, wrapped(context, strategy), eta, units)

    def _ask(self, n: int) -> list[Proposal]:
        proposals: list[Proposal] = []
        while len(proposals) < n:
            if place := self._next():
                proposals.append(self._promote(*place))
            elif new := self._begin(n - len(proposals), 0):
                proposals += new
            elif self._running or not self._give_up():
                break
        return proposals

    def _next(self) -> tuple[int, int] | None:
        """Rung and place of the member to be promoted, if there is one."""
        for rung in range(self._last - 1, -1, -1):
            for place in self._best(rung, len(self._rungs[rung]) // self._eta):
                if self._waits(rung, place):
                    return rung, place
        return None

    def _waits(self, rung: int, place: int) -> bool:
        """Whether a member may yet be promoted."""
        halted = self._rungs[rung][place]["inner"] not in self._inner.pending
        return place not in self._promoted[rung] and not halted

    def _give_up(self) -> bool:
        """Halt all who wait for promotion; whether there were any."""
        waiting = [
            member
            for rung, members in enumerate(self._rungs)
            for place, member in enumerate(members)
            if self._waits(rung, place)
        ]
        for member in waiting:
            self._halt(member)
        return bool(waiting)
