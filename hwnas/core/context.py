"""What a strategy is given: the problem, and its only source of ids and randomness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.mixture import Mixture
from hwnas.core.objective import Objectives
from hwnas.core.proposal import Proposal
from hwnas.core.space import Space


@dataclass
class Context:
    """Shared by a strategy and those it wraps.

    ``units`` training units make a full evaluation; ``evaluations`` is the budget, of which each
    trial takes its ``price``, by default one; ``costs`` gives the cheap metrics of an architecture
    that has not been trained.
    """

    space: Space
    objectives: Objectives
    rng: np.random.Generator
    units: int = 1
    evaluations: int = 100
    costs: Callable[[Architecture], Mapping[str, float]] = field(default=lambda _: {})
    price: Callable[[Proposal], float] = field(default=lambda _: 1.0)
    next_id: int = 0

    def propose(
        self,
        point: Architecture | Mixture,
        train: int | None = None,
        score: int | None = None,
        parent: int | None = None,
        gradient: Literal[0, 1, 2] = 0,
    ) -> Proposal:
        """A proposal with a new id; a full evaluation unless told otherwise."""
        units = self.units if train is None else train
        proposal = Proposal(self.next_id, point, units, score, parent, gradient)
        self.next_id += 1
        return proposal

    def inner(self) -> Context:
        """That of a strategy inside another one, which numbers and pays for what is asked."""
        return replace(self, price=lambda _: 0.0)

    def state_dict(self) -> dict[str, Any]:
        """The random state and the next id."""
        return {"rng": self.rng.bit_generator.state, "next_id": self.next_id}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state_dict`."""
        self.rng.bit_generator.state = state["rng"]
        self.next_id = state["next_id"]
