"""What strategies have in common that train shared weights first and search with them then."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.mixture import Mixture
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._inner import inner_strategy
from hwnas.search._options import at_least
from hwnas.space.moves import sample


def searcher(context: Context, config: dict[str, Any] | None) -> Strategy:
    """The strategy that searches with the shared weights."""
    return inner_strategy(context, config, "networks are scored with shared weights")


class Warmed(Strategy):
    """``steps`` training steps of shared weights, then an ``inner`` strategy without training.

    A step trains one point and scores nothing, so it is no trial and costs nothing of the budget.
    One is in work at a time, as each goes on from the weights that the one before has left; one
    that fails counts. Then the networks of the inner strategy are scored with what weights there
    are, as many in work as are asked for.
    """

    needs = frozenset({"shared"})

    def __init__(self, context: Context, steps: int, inner: Strategy) -> None:
        super().__init__(context)
        at_least(1, steps=steps)
        self._steps = steps
        self._step = 0
        self._inner = inner
        self._running: dict[int, int] = {}  # our proposal -> the inner one

    @property
    def progress(self) -> tuple[int, int]:
        """Steps and trials."""
        done, total = super().progress
        return self._step + done, self._steps + total

    @property
    def _exhausted(self) -> bool:
        return self._inner.done

    def _point(self) -> Architecture | Mixture:
        """What the next step trains: a network whose every choice is uniform."""
        return sample(self.context.space, self.context.rng)

    def _ask(self, n: int) -> list[Proposal]:
        if self._step < self._steps:
            return [] if self.pending else [self.context.propose(self._point(), train=1, score=0)]
        proposals = []
        for inner in self._inner.ask(n):
            ours = self.context.propose(inner.point, train=0, score=inner.score)
            self._running[ours.id] = inner.id
            proposals.append(ours)
        return proposals

    def _tell(self, outcome: Outcome) -> None:
        inner = self._running.pop(outcome.proposal.id, None)
        if inner is None:
            self._step += 1
        else:
            self._inner.tell([replace(outcome, proposal=self._inner.pending[inner])])

    def _lost(self, outcome: Outcome) -> None:
        self._tell(outcome)  # the inner strategy sees that it failed

    def _state(self) -> dict[str, Any]:
        return {
            "step": self._step,
            "inner": self._inner.state_dict(),
            "running": list(self._running.items()),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._step = state["step"]
        self._inner.load_state_dict(state["inner"])
        self._running = dict(state["running"])
