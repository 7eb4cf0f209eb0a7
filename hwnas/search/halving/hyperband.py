"""Hyperband."""

from collections.abc import Mapping
from math import ceil, floor, log
from typing import Any

import numpy as np

from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.outcome import Outcome, Spent
from hwnas.core.pareto import order
from hwnas.core.proposal import Proposal
from hwnas.core.registry import create
from hwnas.core.strategy import Strategy


class Hyperband(Strategy):
    """Brackets of successive halving around any strategy that proposes networks.

    A bracket begins with many architectures of the inner ``strategy`` on few training units and
    promotes the best share of 1 / ``eta`` of each rung: the same point, its weights kept, more
    training. Several objectives are ranked by front, then crowding. The inner strategy hears of
    survivors with the scores of their full training; the others are lost to it, so that it never
    compares scores of different fidelity.
    """

    paper = "Li et al. 2018, Hyperband, arXiv:1603.06560"
    needs = frozenset({"parent"})

    def __init__(
        self, context: Context, *, eta: int = 3, strategy: dict[str, Any] | None = None
    ) -> None:
        super().__init__(context)
        if eta < 2:
            raise HwnasError(f"search.eta: must be at least 2, got {eta}.")
        self._inner: Strategy = create(
            "strategies", strategy or {"name": "random"}, "search.strategy", context.inner()
        )
        if self._inner.required & {"mixture", "parent"}:
            raise HwnasError(
                "search.strategy: hyperband halves sets of new networks, but this strategy proposes"
                " mixtures or goes on with networks of its own.",
                "Wrap a strategy that proposes networks, such as random or nsga2.",
            )
        self._eta = eta
        self._last = floor(log(context.units, eta) + 1e-9)
        self._open(self._last)

    @property
    def required(self) -> frozenset[str]:
        """Continued training, and what the inner strategy needs."""
        return self.needs.union(self._inner.required)

    def _open(self, bracket: int) -> None:
        self._bracket = bracket
        self._rung = 0
        self._room = ceil((self._last + 1) / (bracket + 1) * self._eta**bracket)
        self._members: list[dict[str, Any]] = []  # told at this rung
        self._queue: list[dict[str, Any]] = []  # promoted, to be asked at this rung
        self._running: dict[int, int] = {}  # our proposal -> the inner one

    def _open_next(self) -> None:
        """The bracket with one rung less; after the last of them the first again."""
        self._open(self._bracket - 1 if self._bracket else self._last)

    def _units(self, rung: int) -> int:
        """Cumulative training units at a rung of the open bracket."""
        return max(1, round(self.context.units / float(self._eta) ** (self._bracket - rung)))

    def _ask(self, n: int) -> list[Proposal]:
        proposals: list[Proposal] = []
        while len(proposals) < n:
            if self._queue:
                proposals.append(self._promote(self._queue.pop(0)))
            elif new := self._admit(n - len(proposals)):
                proposals += new
            elif self._running or not self._advance():
                break
        return proposals

    def _admit(self, n: int) -> list[Proposal]:
        """New architectures of the inner strategy for the first rung, while it has room."""
        if self._rung or not self._room:
            return []
        begun = []
        for inner in self._inner.ask(min(n, self._room)):
            ours = self.context.propose(inner.point, train=self._units(0), score=inner.score)
            self._running[ours.id] = inner.id
            begun.append(ours)
        self._room -= len(begun)
        return begun

    def _promote(self, member: dict[str, Any]) -> Proposal:
        inner = self._inner.pending[member["inner"]]
        more = max(0, self._units(self._rung) - member["train"])
        ours = self.context.propose(inner.point, more, inner.score, parent=member["ours"])
        self._running[ours.id] = inner.id
        return ours

    def _tell(self, outcome: Outcome) -> None:
        member = {
            "ours": outcome.proposal.id,
            "inner": self._running.pop(outcome.proposal.id),
            "metrics": dict(outcome.metrics),
            "train": outcome.spent.train,
        }
        self._members.append(member)

    def _lost(self, outcome: Outcome) -> None:
        self._halt(self._running.pop(outcome.proposal.id), outcome.failed or "failed")

    def _halt(self, inner: int, reason: str) -> None:
        self._inner.tell([Outcome(self._inner.pending[inner], failed=reason)])

    def _advance(self) -> bool:
        """End the rung; whether there is anything more to ask."""
        if not self._members:  # all of them failed, or the inner strategy has no more
            self._open_next()
            return not self._inner.done
        members, self._members = self._members, []
        if self._rung == self._bracket:
            for member in members:
                proposal = self._inner.pending[member["inner"]]
                spent = Spent(train=member["train"])
                self._inner.tell([Outcome(proposal, member["metrics"], spent=spent)])
            self._open_next()
            return True
        objectives = self.context.objectives
        values = np.array([objectives.values(m["metrics"]) for m in members])
        violation = np.array([objectives.violation(m["metrics"]) for m in members])
        ranked = [members[i] for i in order(values, violation)]
        kept = max(1, len(ranked) // self._eta)
        for member in ranked[kept:]:
            self._halt(member["inner"], f"halted after {member['train']} training units")
        self._queue = ranked[:kept]
        self._rung += 1
        return True

    @property
    def _exhausted(self) -> bool:
        return self._inner.done and not (self._members or self._queue or self._running)

    def _state(self) -> dict[str, Any]:
        return {
            "inner": self._inner.state_dict(),
            "bracket": self._bracket,
            "rung": self._rung,
            "room": self._room,
            "members": self._members,
            "queue": self._queue,
            "running": list(self._running.items()),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._inner.load_state_dict(state["inner"])
        self._bracket = state["bracket"]
        self._rung = state["rung"]
        self._room = state["room"]
        self._members = list(state["members"])
        self._queue = list(state["queue"])
        self._running = dict(state["running"])
