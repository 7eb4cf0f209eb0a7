"""Hill climbing by network morphisms."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.outcome import Outcome
from hwnas.core.pareto import front, order
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._seen import Seen
from hwnas.space.moves import mutate, sample

_Network = tuple[int, Architecture, dict[str, float]]
"""The proposal that has the weights, the network, and its metrics."""


class HillClimbing(Strategy):
    """The best of a few changed copies of the present network is the next one.

    NASH, Algorithm 1: in each round ``children`` copies are changed by ``morphisms`` random network
    morphisms that keep the function, trained from the inherited weights, and compared with the
    present network, which is trained as much longer; the best is the next. The paper begins with a
    small network of its own and goes on for a number of rounds, here with a random one and for the
    whole budget. In a space without morphisms the copies are neighbours, changed in one choice, and
    the present network keeps its score.

    A climb ends when all neighbours are known, or ``patience`` rounds in a row bring nothing
    better. With one objective the next one begins with a random network. Several objectives are
    judged by front and crowding among all networks told (Deb et al. 2002), and the next climb
    begins with the best on the front at which none has ended, or with a random one.
    """

    paper = "Elsken et al. 2017, NASH, arXiv:1711.04528"
    needs = frozenset({"parent", "inherit"})

    def __init__(
        self, context: Context, *, children: int = 8, morphisms: int = 5, patience: int = 1
    ) -> None:
        super().__init__(context)
        options = {"children": children, "morphisms": morphisms, "patience": patience}
        for key, value in options.items():
            if value < 1:
                raise HwnasError(f"search.{key}: must be at least 1, got {value}.")
        self._children = children
        self._morphisms = morphisms
        self._patience = patience
        self._present: _Network | None = None
        self._queue: list[Architecture] = []  # of the round, not asked yet
        self._round: list[_Network] = []  # told in this round
        self._vain = 0  # rounds without a better network
        self._told: list[_Network] = []
        self._tops: set[int] = set()  # networks that no climb leads on from
        self._seen = Seen()

    def _ask(self, n: int) -> list[Proposal]:
        if not self._queue and not self.pending:
            self._advance()
        taken, self._queue = self._queue[:n], self._queue[n:]
        if self._best is None:
            return [self.context.propose(start) for start in taken]
        parent = self._best[0]
        return [self.context.propose(child, self._train, parent=parent) for child in taken]

    def _advance(self) -> None:
        """End the round, and begin the next one of this climb or of another."""
        before, told, self._round = self._best, self._round, []
        if before is not None and all(network != before[1] for _, network, _ in told):
            told.append(before)  # it failed when it was trained on
        self._best = min(told, key=self._value, default=None)
        better = self._best is not None and (before is None or self._best[1] != before[1])
        if not (self._best and (better or told == [before]) and self._branch(self._best[1])):
            self._climb()

    def _value(self, member: Member) -> float:
        return self._preference.value(member[2], self._weights)

    def _branch(self, network: Architecture) -> bool:
        """Open a round with children of a network and itself, if there are any."""
        fresh = (self._seen.fresh(lambda: self._child(network)) for _ in range(self._children))
        for child in fresh:
            if child is not None:
                self._seen.add(child)
                self._queue.append(child)
        if self._queue:
            self._queue.append(network)
        return bool(self._queue)

    def _child(self, network: Architecture) -> Architecture:
        space, rng = self.context.space, self.context.rng
        child = morph(space, network, rng, exact=True)
        for _ in range(self._morphisms - 1):
            child = space.morph(child, rng, exact=True) or child
        return child

    def _climb(self) -> None:
        """Begin anew, with another preference."""
        self._best = None
        space, rng = self.context.space, self.context.rng
        self._weights = self._preference.draw(rng)
        first: Architecture | None = walk(space, lambda choice: choice.values[0])
        if first is not None and space.morph(first, rng, exact=True) is None:
            first = self._seen.fresh(lambda: sample(space, rng))
        self._known = first is None
        if first is not None:
            self._seen.add(first)
            self._queue.append(first)

    @property
    def _exhausted(self) -> bool:
        return self._known

    def _tell(self, outcome: Outcome) -> None:
        metrics = {o.name: outcome.metrics[o.name] for o in self.context.objectives}
        self._preference.observe(metrics)
        network = outcome.proposal.point
        assert isinstance(network, Architecture)
        self._round.append((outcome.proposal.id, network, metrics))

    def _state(self) -> dict[str, Any]:
        return {
            "preference": self._preference.state_dict(),
            "weights": self._weights,
            "seen": self._seen.state(),
            "best": None if self._best is None else _to_json(self._best),
            "queue": [network.to_json() for network in self._queue],
            "round": [_to_json(member) for member in self._round],
            "known": self._known,
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._preference.load_state_dict(state["preference"])
        self._weights = state["weights"]
        self._seen.load(state["seen"])
        self._best = None if state["best"] is None else _from_json(state["best"])
        self._queue = [Architecture.from_json(network) for network in state["queue"]]
        self._round = [_from_json(member) for member in state["round"]]
        self._known = state["known"]


def _to_json(member: Member) -> list[Any]:
    id, network, metrics = member
    return [id, network.to_json(), metrics]


def _from_json(data: list[Any]) -> Member:
    id, network, metrics = data
    return id, Architecture.from_json(network), metrics
