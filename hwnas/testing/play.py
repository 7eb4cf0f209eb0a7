"""A search on the fake estimator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.setting import Setting
from hwnas.core.strategy import Strategy
from hwnas.testing._require import require
from hwnas.testing.fakes import FakeEstimator, FakeTask

_ROUNDS = 2_000  # a search on so small a budget that takes longer does not end


@dataclass
class Play:
    """A search on the fake estimator, that can be stopped and gone on with at any moment.

    ``slots`` proposals are in work; ``order`` draws which of them is told next, the oldest where
    it is None. ``fails`` says of the count of those told before whether the next one fails.
    """

    strategy: Strategy
    slots: int = 1
    order: np.random.Generator | None = None
    fails: Callable[[int], bool] = lambda _: False
    waiting: list[Proposal] = field(default_factory=list)
    told: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        space = self.strategy.context.space
        self.estimator = FakeEstimator(Setting(space, FakeTask()))

    def run(self, tells: int = _ROUNDS) -> list[Outcome]:
        """Go on until the search is done, or has been told of ``tells`` outcomes in all."""
        while not self.strategy.done and len(self.told) < tells:
            if len(self.told) >= _ROUNDS:
                raise AssertionError(f"the search does not end: {_ROUNDS} outcomes were told.")
            self._ask()
            at = 0 if self.order is None else int(self.order.integers(len(self.waiting)))
            self._tell(self.waiting.pop(at))
        return self.told

    def _ask(self) -> None:
        strategy, free = self.strategy, self.slots - len(self.waiting)
        last = strategy.context.next_id
        new = strategy.ask(free) if free else []
        require(len(new) <= free, f"ask({free}) gave {len(new)} proposals.")
        for proposal in new:
            require(proposal.id >= last, f"id {proposal.id} is not larger than those before.")
            last = proposal.id + 1
            self._check(proposal)
        self.waiting += new
        require(
            bool(self.waiting),
            "it asks for nothing although nothing is pending and it is not done.",
        )

    def _check(self, proposal: Proposal) -> None:
        parent = proposal.parent
        require(
            parent is None or any(o.proposal.id == parent and o.failed is None for o in self.told),
            f"the parent {parent} of proposal {proposal.id} has no weights.",
        )

    def _tell(self, proposal: Proposal) -> None:
        (outcome,) = self.estimator.estimate([proposal])
        require(outcome.failed is None, f"proposal {proposal.id} cannot be built: {outcome.failed}")
        if self.fails(len(self.told)):
            outcome = Outcome(proposal, failed="chosen to fail")
        self.told.append(outcome)
        self.strategy.tell([outcome])
        done, total = self.strategy.progress
        require(0 <= done <= total, f"progress is {done} of {total}.")
