"""LEMONADE: Lamarckian evolution for several objectives."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.outcome import Outcome
from hwnas.core.pareto import fronts
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._costs import Costs
from hwnas.search._density import draw, log_density
from hwnas.search._options import above, at_least
from hwnas.search._seen import Seen
from hwnas.search._told import Told, table
from hwnas.space.moves import morph, sample

_Child = tuple[Architecture, int | None, np.ndarray]
"""A network, the proposal of its parent if it has one, and its cheap values."""


class Lemonade(Strategy):
    """Many children are bred, but only few, unlike the others in cost, are trained.

    Algorithm 1: the population is the Pareto front. Parents are drawn from it with a probability
    inversely proportional to a kernel density over the cheap objectives; ``children`` morphs of
    them are made, whose cheap objectives are known at once; at most ``accepted`` are drawn by the
    same rule, trained from their parents' weights, and put on the front if they belong there. Where
    no objective is cheap all draws are uniform.

    What the paper leaves open: the front begins with ``initial`` random networks. A morphism keeps
    the function, so a child is born with the expensive objectives of its parent. One dominated at
    birth, by a sibling or a member of the front, is accepted only if all are; but the children of
    who is best in the expensive objectives, where to grow is the way on, need only fear siblings.
    Children over a cheap limit are accepted only where no others are found. A generation begins
    whenever more is asked for than was accepted, from the front as it is then, while others are
    in training. What is known is never trained again.

    One thing is not the paper's: the density is that of all networks accepted so far, also those
    that failed or are in training, so that costs at which much was tried in vain count as
    crowded; ``density: population`` is the paper's, over the front alone. The kernel is Gaussian,
    its ``bandwidth`` in standard deviations.
    """

    paper = "Elsken et al. 2019, LEMONADE, arXiv:1804.09081"
    needs = frozenset({"parent", "inherit"})

    def __init__(
        self,
        context: Context,
        *,
        initial: int = 20,
        children: int = 15,
        accepted: int = 1,
        density: Literal["tried", "population"] = "tried",
        bandwidth: float = 0.05,
    ) -> None:
        super().__init__(context)
        at_least(1, initial=initial)
        if not 1 <= accepted <= children:
            raise HwnasError(
                f"search.accepted: must be from 1 to the children ({children}), got {accepted}."
            )
        above(0, bandwidth=bandwidth)
        self._initial = initial
        self._children = children
        self._accepted = accepted
        self._density = density
        self._bandwidth = bandwidth
        self._known = Costs(context)
        self._begun = 0  # random networks
        self._population: list[Told] = []
        self._queue: list[tuple[Architecture, int | None]] = []  # accepted, and their parents
        self._tried: list[list[float]] = []  # cheap values of what was accepted
        self._seen = Seen()

    def _ask(self, n: int) -> list[Proposal]:
        while len(self._queue) < n and self._generation():
            pass
        taken, self._queue = self._queue[:n], self._queue[n:]
        return [self.context.propose(child, parent=parent) for child, parent in taken]

    def _generation(self) -> bool:
        """Put the accepted of one generation into the queue; whether there are any."""
        begun = self._begun >= self._initial
        if begun and not self._population and self.pending:
            return False  # one of them may be the first member
        accepted = self._offspring() if begun and self._population else []
        accepted = accepted or self._random()
        for network, parent, costs in accepted:
            self._begun += parent is None
            self._seen.add(network)
            self._queue.append((network, parent))
            if np.isfinite(costs).all():
                self._tried.append(costs.tolist())
        return bool(accepted)

    def _random(self) -> list[_Child]:
        found = self._new(1, lambda: sample(self.context.space, self.context.rng))
        return [(network, None, found[network]) for network in list(found)[:1]]

    def _offspring(self) -> list[_Child]:
        """The accepted among many children of the front."""
        space, rng = self.context.space, self.context.rng
        sparsity = self._sparsity(self._known_costs())
        parents: dict[Architecture, int] = {}

        def make() -> Architecture:
            parent = int(draw(sparsity, 1, rng)[0])
            child = morph(space, self._population[parent].architecture, rng)
            parents.setdefault(child, parent)
            return child

        children = self._new(self._children, make)
        if not children:
            return []
        known = np.array(list(children.values()))
        kept = np.flatnonzero(self._promising([parents[c] for c in children], known))
        drawn = kept[draw(self._sparsity(known[kept]), self._accepted, rng)]
        chosen = [list(children)[i] for i in drawn]
        return [(c, self._population[parents[c]].id, children[c]) for c in chosen]

    def _new(self, n: int, make: Callable[[], Architecture]) -> dict[Architecture, np.ndarray]:
        """Networks not accepted before and their cheap values, shape ``[n_cheap]`` each.

        ``n`` that keep to the cheap limits, or fewer if they are hard to find; only where there are
        none at all, those that pass the limits by the least.
        """
        found: dict[Architecture, tuple[np.ndarray, float]] = {}
        for _ in range(10 * self._children):
            network = self._seen.fresh(make)
            if network is None:
                break
            if network not in found:
                found[network] = self._costs(network)
            if sum(violation == 0 for _, violation in found.values()) == n:
                break
        least = min((violation for _, violation in found.values()), default=0.0)
        return {a: costs for a, (costs, violation) in found.items() if violation == least}

    def _promising(self, parents: list[int], costs: np.ndarray) -> np.ndarray:
        """Which children are not dominated at birth, all if there are none, shape ``[n]``."""
        objectives = self.context.objectives
        cheap = np.array([o.metric.cheap for o in objectives])
        values, _ = table(self._population)
        births = values[parents]
        births[:, cheap] = costs * [o.sign for o in self._known.cheap]
        dear = values[:, ~cheap]
        best = ~_dominated(dear, dear)[parents]
        kept = ~_dominated(births, births) & (best | ~_dominated(births, values, equal=True))
        return kept if kept.any() else np.ones_like(kept)

    def _sparsity(self, costs: np.ndarray) -> np.ndarray:
        """Minus the logarithm of the density at cheap values ``[n, n_cheap]``, shape ``[n]``."""
        if not np.isfinite(costs).all():
            return np.zeros(len(costs))
        front_only = self._density == "population"
        known = self._known_costs() if front_only else np.array(self._tried)
        return -log_density(known, self._bandwidth)(costs)

    def _known_costs(self) -> np.ndarray:
        """Cheap values of the front, shape ``[n, n_cheap]``."""
        return np.array([[t.metrics[o.name] for o in self._known.cheap] for t in self._population])

    def _costs(self, architecture: Architecture) -> tuple[np.ndarray, float]:
        """Its cheap values, shape ``[n_cheap]``, and by how much they pass their limits."""
        cheap, found = self._known.cheap, self._known(architecture)
        if found is None:  # not to be trained while there are others: that may fail as well
            return np.full(len(cheap), np.nan), np.inf
        return np.array([found[o.name] for o in cheap]), cheap.violation(found)

    def _tell(self, outcome: Outcome) -> None:
        pool = [*self._population, Told.of(outcome, self.context.objectives)]
        self._population = [pool[i] for i in sorted(fronts(*table(pool))[0])]
        self._look_ahead()

    def _lost(self, outcome: Outcome) -> None:
        self._look_ahead()

    def _look_ahead(self) -> None:
        """A search that has come to the end of its space must know it before it is asked."""
        if not (self.pending or self._queue or self._spent):
            self._generation()

    @property
    def _exhausted(self) -> bool:
        return self._begun > 0 and not (self.pending or self._queue)

    def _state(self) -> dict[str, Any]:
        return {
            "begun": self._begun,
            "population": [told.state for told in self._population],
            "queue": [[a.to_json(), parent] for a, parent in self._queue],
            "tried": self._tried,
            "seen": self._seen.state(),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._begun = state["begun"]
        self._population = [Told.load(t, self.context.objectives) for t in state["population"]]
        self._queue = [(Architecture.from_json(a), parent) for a, parent in state["queue"]]
        self._tried = list(state["tried"])
        self._seen.load(state["seen"])


def _dominated(rows: np.ndarray, by: np.ndarray, equal: bool = False) -> np.ndarray:
    """Which rows are dominated by one of ``by``, or ``equal`` to it, shape ``[n_rows]``."""
    dominated = np.all(by[None] <= rows[:, None], axis=2)
    if not equal:
        dominated &= np.any(by[None] < rows[:, None], axis=2)
    return np.asarray(np.any(dominated, axis=1))
