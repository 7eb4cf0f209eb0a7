"""What all strategies of few training units first and more for the best have in common."""

from collections.abc import Mapping
from dataclasses import replace
from math import floor, log
from typing import Any

from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._inner import inner_strategy
from hwnas.search._options import at_least
from hwnas.search.halving._promotion import best


def wrapped(context: Context, config: dict[str, Any] | None) -> Strategy:
    """The strategy that proposes the networks."""
    return inner_strategy(context, config, "sets of new networks are halved", {"mixture", "parent"})


def rungs(units: int, eta: int, least: int) -> list[int]:
    """Cumulative training units of the rungs, ``units / eta^k`` from ``least`` at the least up."""
    at_least(2, eta=eta)
    if not 1 <= least <= units:
        raise HwnasError(
            f"search.least: must be from 1 to the training units of a full evaluation ({units}),"
            f" got {least}."
        )
    last = floor(log(units / least, eta) + 1e-9)
    return [max(1, round(units / float(eta) ** k)) for k in range(last, -1, -1)]


class Halving(Strategy):
    """New networks of an inner strategy on few units, some of which are promoted.

    A promotion asks for the same network with its weights kept and more training. Who was told at
    a rung is a member of it for good, because later ones are ranked among all of its scores. The
    inner strategy hears of those trained in full; the others are lost to it, so that it never
    compares scores of different fidelity.
    """

    needs = frozenset({"parent"})

    def __init__(self, context: Context, inner: Strategy, eta: int, units: list[int]) -> None:
        super().__init__(context)
        self._inner = inner
        self._eta = eta
        self._units = units
        self._last = len(units) - 1
        self._running: dict[int, tuple[int, int]] = {}  # our proposal -> the inner one, the rung
        self._rungs: list[list[dict[str, Any]]] = [[] for _ in units]  # members; none of the last
        self._promoted: list[set[int]] = [set() for _ in units]  # their places

    @property
    def required(self) -> frozenset[str]:
        """Continued training, and what the inner strategy needs."""
        return self.needs.union(self._inner.required)

    def _begin(self, n: int, rung: int) -> list[Proposal]:
        """At most ``n`` new networks of the inner strategy, trained as much as ``rung`` demands."""
        begun = []
        for inner in self._inner.ask(n):
            ours = self.context.propose(inner.point, self._units[rung], inner.score)
            self._running[ours.id] = inner.id, rung
            begun.append(ours)
        return begun

    def _promote(self, rung: int, place: int) -> Proposal:
        """The network of a member again, on the next rung."""
        self._promoted[rung].add(place)
        member = self._rungs[rung][place]
        inner = self._inner.pending[member["inner"]]
        more = max(0, self._units[rung + 1] - member["train"])
        ours = self.context.propose(inner.point, more, inner.score, parent=member["ours"])
        self._running[ours.id] = inner.id, rung + 1
        return ours

    def _best(self, rung: int, count: int, first: int = 0) -> list[int]:
        """Places of the best ``count`` members of a rung, of those from ``first`` on."""
        context, promoted = self.context, self._promoted[rung]
        return best(context.objectives, self._rungs[rung], count, context.rng, promoted, first)

    def _tell(self, outcome: Outcome) -> None:
        inner, rung = self._running.pop(outcome.proposal.id)
        if rung == self._last:
            self._inner.tell([replace(outcome, proposal=self._inner.pending[inner])])
            return
        objectives = self.context.objectives
        member = {
            "ours": outcome.proposal.id,
            "inner": inner,
            "train": outcome.spent.train,
            "values": objectives.values(outcome.metrics).tolist(),
            "violation": objectives.violation(outcome.metrics),
        }
        self._rungs[rung].append(member)

    def _lost(self, outcome: Outcome) -> None:
        inner, _ = self._running.pop(outcome.proposal.id)
        self._drop(inner, outcome.failed or "failed")

    def _halt(self, member: Mapping[str, Any]) -> None:
        """A member goes no further."""
        self._drop(member["inner"], f"halted after {member['train']} training units")

    def _drop(self, inner: int, reason: str) -> None:
        self._inner.tell([Outcome(self._inner.pending[inner], failed=reason)])

    @property
    def _exhausted(self) -> bool:
        return self._inner.done  # who is not at an end here is pending there

    def _state(self) -> dict[str, Any]:
        return {
            "inner": self._inner.state_dict(),
            "running": [[ours, *at] for ours, at in self._running.items()],
            "rungs": self._rungs,
            "promoted": [sorted(places) for places in self._promoted],
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._inner.load_state_dict(state["inner"])
        self._running = {ours: (inner, rung) for ours, inner, rung in state["running"]}
        self._rungs = [list(members) for members in state["rungs"]]
        self._promoted = [set(places) for places in state["promoted"]]
