"""Pareto local search."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.pareto import fronts, hypervolume
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._costs import Costs
from hwnas.search._density import draw, log_density
from hwnas.search._options import at_least
from hwnas.search._seen import Seen
from hwnas.search._told import Told, table
from hwnas.space.moves import neighbours, sample

_REACH = 1.1  # the reference of gains, in ranges from the best value told
_MOST = 200  # neighbours that are weighed against each other
_FAR = 1e-3  # density; a gain where nobody is counts no more than a thousandfold


class ParetoLocal(Strategy):
    """The neighbours of the front, one by one, those first that promise the largest gain.

    An archive of non-dominated networks begins with ``initial`` random ones. One of them whose
    neighbourhood is not known yet is drawn, a neighbour of it is tried, and joins the archive if it
    is not dominated (anytime variant of Dubois-Lacoste et al. 2015, section 3). When all neighbours
    of the archive are known, the search starts again from the next front of what was told, then
    from random networks. With one objective that is local search (White et al. 2021), which takes
    the first neighbour that is better.

    What is known before training guides it. Members are drawn by the inverse density of their cheap
    objectives on the front, to the power of ``spread``, so that its sparse parts are explored
    first. Of a member's neighbours the one is tried that promises most: the largest gain of
    hypervolume over the density at its place, where cheap objectives are known and expensive ones
    are taken for the mean of what is told of its own neighbours (geometric where all are positive).
    What would pass a limit comes last.
    """

    paper = (
        "Dubois-Lacoste, Lopez-Ibanez & Stutzle 2015, Anytime Pareto local search; "
        "White et al. 2021, Exploring the loss landscape in NAS, arXiv:2005.02960"
    )

    def __init__(self, context: Context, *, initial: int = 10, spread: float = 3.0) -> None:
        super().__init__(context)
        at_least(1, initial=initial)
        at_least(0, spread=spread)
        self._initial = initial
        self._spread = spread
        self._begun = 0
        self._over = False
        self._seen = Seen()
        self._told: list[Told] = []
        self._around: list[list[Architecture]] = []  # the neighbours of each of them
        self._near: dict[Architecture, list[int]] = {}  # who is told of a network's neighbours
        self._costs = Costs(context)

    def _ask(self, n: int) -> list[Proposal]:
        proposals: list[Proposal] = []
        while len(proposals) < n and (new := self._next()) is not None:
            self._seen.add(new)
            proposals.append(self.context.propose(new))
        self._over = not (proposals or self.pending)
        return proposals

    def _next(self) -> Architecture | None:
        if self._begun < self._initial:
            self._begun += 1
            return self._random()
        if not self._told:  # wait for the first, unless all of them failed
            return None if self.pending else self._random()
        values, violation = table(self._told)
        for front in fronts(values, violation):
            open_ = [(i, around) for i in front.tolist() if (around := self._unknown(i))]
            if open_:
                return self._promising(open_, front, values, violation)
        return self._random()

    def _random(self) -> Architecture | None:
        return self._seen.fresh(lambda: sample(self.context.space, self.context.rng))

    def _unknown(self, told: int) -> list[Architecture]:
        """The neighbours that were not asked for; who has none left is not looked at again."""
        left = self._around[told] = [a for a in self._around[told] if a not in self._seen]
        return left

    def _promising(
        self,
        open_: list[tuple[int, list[Architecture]]],
        front: np.ndarray,
        values: np.ndarray,
        violation: np.ndarray,
    ) -> Architecture:
        """Of a member drawn the neighbour that promises most, ties at random."""
        rng, objectives = self.context.rng, self.context.objectives
        density = log_density(self._costs_of([self._told[i].metrics for i in front]))
        crowd = density(self._costs_of([self._told[i].metrics for i, _ in open_]))
        around = open_[int(draw(-self._spread * crowd, 1, rng)[0])][1]
        if len(around) > _MOST:
            around = [around[i] for i in rng.choice(len(around), _MOST, replace=False)]
        guessed = [self._guess(architecture) for architecture in around]
        worse = np.array([objectives.violation(g) for g in guessed])
        gain = np.zeros(len(around))
        inside = values[front][violation[front] <= 0]
        if len(inside):
            low, high = values.min(axis=0), values.max(axis=0)
            scale = np.where(high > low, high - low, 1.0)
            inside, reference = (inside - low) / scale, np.full(values.shape[1], _REACH)
            before = hypervolume(inside, reference)
            for i, metrics in enumerate(guessed):
                there = (objectives.values(metrics) - low) / scale
                if worse[i] == 0 and not (inside <= there).all(axis=1).any():
                    gain[i] = hypervolume(np.vstack([inside, there]), reference) - before
        gain /= np.exp(density(self._costs_of(guessed))) + _FAR
        return around[int(np.lexsort((rng.random(len(around)), -gain, worse))[0])]

    def _costs_of(self, metrics: Sequence[Mapping[str, float]]) -> np.ndarray:
        """Cheap values, shape ``[n, n_cheap]``."""
        return np.array([[m[o.name] for o in self._costs.cheap] for m in metrics])

    def _guess(self, architecture: Architecture) -> dict[str, float]:
        """Its cheap metrics, and the expensive ones of a network amid its neighbours."""
        costs = dict(self._costs(architecture) or {})  # where there are none training says why
        near = [self._told[i].metrics for i in self._near[architecture]]
        unknown = [o.name for o in self.context.objectives if o.name not in costs]
        return costs | {name: _mean([m[name] for m in near]) for name in unknown}

    def _tell(self, outcome: Outcome) -> None:
        self._learn(Told.of(outcome, self.context.objectives))

    def _learn(self, told: Told) -> None:
        self._around.append(list(neighbours(self.context.space, told.architecture)))
        for neighbour in self._around[-1]:
            self._near.setdefault(neighbour, []).append(len(self._told))
        self._told.append(told)

    @property
    def _exhausted(self) -> bool:
        return self._over

    def _state(self) -> dict[str, Any]:
        return {
            "begun": self._begun,
            "over": self._over,
            "seen": self._seen.state(),
            "told": [told.state for told in self._told],
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._begun, self._over = state["begun"], state["over"]
        self._seen.load(state["seen"])
        for told in state["told"]:
            self._learn(Told.load(told, self.context.objectives))


def _mean(values: list[float]) -> float:
    positive = min(values) > 0
    return float(np.exp(np.mean(np.log(values))) if positive else np.mean(values))
