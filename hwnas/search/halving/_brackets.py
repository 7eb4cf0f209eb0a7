"""Brackets of successive halving, one after the other."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search.halving._halving import Halving


class Brackets(Halving):
    """Rung by rung, the best 1 / ``eta`` of those that are told go on; a rung waits for its last.

    A bracket is a rung to begin on and a number of networks; after the last one the first comes
    again.
    """

    def __init__(
        self,
        context: Context,
        inner: Strategy,
        eta: int,
        units: list[int],
        brackets: Sequence[tuple[int, int]],
    ) -> None:
        super().__init__(context, inner, eta, units)
        self._brackets = brackets
        self._open(0)

    def _open(self, bracket: int) -> None:
        self._bracket = bracket % len(self._brackets)
        rung, self._room = self._brackets[self._bracket]
        self._enter(rung, [])

    def _enter(self, rung: int, queue: list[int]) -> None:
        self._rung = rung
        self._queue = queue  # places in the rung below, promoted and not yet asked
        self._first = len(self._rungs[rung])  # the members before are of earlier brackets

    def _ask(self, n: int) -> list[Proposal]:
        proposals: list[Proposal] = []
        while len(proposals) < n:
            if self._queue:
                proposals.append(self._promote(self._rung - 1, self._queue.pop(0)))
            elif new := self._admit(n - len(proposals)):
                proposals += new
            elif self._running or not self._close():
                break
        return proposals

    def _admit(self, n: int) -> list[Proposal]:
        """New networks, while the bracket has room."""
        begun = self._begin(min(n, self._room), self._rung) if self._room else []
        self._room -= len(begun)
        return begun

    def _tell(self, outcome: Outcome) -> None:
        super()._tell(outcome)
        self._settle()

    def _lost(self, outcome: Outcome) -> None:
        super()._lost(outcome)
        self._settle()

    def _settle(self) -> None:
        """Close a rung as soon as its last member is told, so that an end is known at once."""
        full = not self._room or self._inner._exhausted
        if full and not self._queue and not self._running:
            self._close()

    def _close(self) -> bool:
        """End the rung with those told; whether there is anything more to ask."""
        self._room = 0
        members = self._rungs[self._rung][self._first :]
        if members:
            kept = self._best(self._rung, max(1, len(members) // self._eta), self._first)
            for place, member in enumerate(members, self._first):
                if place not in kept:
                    self._halt(member)
            self._enter(self._rung + 1, kept)
        else:  # the last rung, or all failed
            self._open(self._bracket + 1)
        return not self._inner.done

    def _state(self) -> dict[str, Any]:
        return super()._state() | {
            "bracket": self._bracket,
            "rung": self._rung,
            "room": self._room,
            "first": self._first,
            "queue": self._queue,
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        self._bracket = state["bracket"]
        self._rung = state["rung"]
        self._room = state["room"]
        self._first = state["first"]
        self._queue = list(state["queue"])


def cycle(last: int, eta: int) -> list[tuple[int, int]]:
    """The brackets of Hyperband (Li et al. 2018, algorithm 1): the most rungs come first."""
    return [(last - s, ceil((last + 1) / (s + 1) * eta**s)) for s in range(last, -1, -1)]
