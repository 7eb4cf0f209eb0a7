"""Hill climbing by network morphisms."""

from collections.abc import Mapping
from typing import Any

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.pareto import front, order
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._options import at_least
from hwnas.search._seen import Seen
from hwnas.search._told import Told, table
from hwnas.space.moves import mutate, sample


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
        at_least(1, children=children, morphisms=morphisms, patience=patience)
        self._children = children
        self._morphisms = morphisms
        self._patience = patience
        self._present: Told | None = None
        self._queue: list[Architecture] = []  # of the round, not asked yet
        self._round: list[Told] = []  # told in this round
        self._vain = 0  # rounds without a better network
        self._told: list[Told] = []
        self._tops: set[int] = set()  # networks that no climb leads on from
        self._seen = Seen()

    def _ask(self, n: int) -> list[Proposal]:
        if not (self._queue or self.pending):
            self._advance()
        taken, self._queue = self._queue[:n], self._queue[n:]
        parent = None if self._present is None else self._present.id
        return [self.context.propose(point, parent=parent) for point in taken]

    def _advance(self) -> None:
        """Take the best of the round and queue the next one."""
        if self._round:
            place = self._places()
            before, best = self._present, min(self._round, key=lambda told: place[told.id])
            self._round = []
            if before is None or place[best.id] < place[before.id]:
                self._present, self._vain = best, 0
            else:
                self._vain += 1
        if self._present is not None and self._vain >= self._patience:
            self._restart()
        while self._present is not None:
            self._queue = self._offspring(self._present.architecture)
            if self._queue:
                return
            self._restart()
        space, rng = self.context.space, self.context.rng
        start = self._seen.fresh(lambda: sample(space, rng)) or sample(space, rng)
        self._seen.add(start)
        self._queue = [start]

    def _restart(self) -> None:
        """Begin another climb, on the front if it leads on from there."""
        assert self._present is not None
        self._tops.add(self._present.id)
        self._vain = 0
        self._present = None
        if len(self.context.objectives) > 1:
            place = self._places()
            members = [self._told[i] for i in front(*table(self._told))]
            left = [told for told in members if told.id not in self._tops]
            self._present = min(left, key=lambda told: place[told.id], default=None)

    def _places(self) -> dict[int, int]:
        """The place of every network told, 0 for the best."""
        return {self._told[i].id: place for place, i in enumerate(order(*table(self._told)))}

    def _offspring(self, parent: Architecture) -> list[Architecture]:
        """The candidates of a round; none if all neighbours are known."""
        grown = self._grown(parent)
        found: list[Architecture] = []
        for _ in range(self._children):
            child = self._seen.fresh(lambda: self._grown(parent) or self._mutant(parent))
            if child is not None:
                self._seen.add(child)
                found.append(child)
        # With morphisms the children are trained from its weights, so it must be as long.
        return [parent, *found] if grown is not None and found else found

    def _grown(self, parent: Architecture) -> Architecture | None:
        """After some morphisms that keep the function; None where there are none."""
        space, rng = self.context.space, self.context.rng
        grown: Architecture | None = None
        for _ in range(self._morphisms):
            further = space.morph(parent if grown is None else grown, rng, exact=True)
            if further is None:
                break
            grown = further
        return grown

    def _mutant(self, parent: Architecture) -> Architecture:
        return mutate(self.context.space, parent, self.context.rng)

    def _tell(self, outcome: Outcome) -> None:
        self._told.append(Told.of(outcome, self.context.objectives))
        self._round.append(self._told[-1])

    def _state(self) -> dict[str, Any]:
        return {
            "present": None if self._present is None else self._present.id,
            "queue": [a.to_json() for a in self._queue],
            "round": [told.id for told in self._round],
            "vain": self._vain,
            "told": [told.state for told in self._told],
            "tops": sorted(self._tops),
            "seen": self._seen.state(),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._told = [Told.load(t, self.context.objectives) for t in state["told"]]
        known = {told.id: told for told in self._told}
        self._present = known.get(state["present"])
        self._queue = [Architecture.from_json(a) for a in state["queue"]]
        self._round = [known[id] for id in state["round"]]
        self._vain = state["vain"]
        self._tops = set(state["tops"])
        self._seen.load(state["seen"])
