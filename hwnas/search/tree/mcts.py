"""Monte Carlo tree search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf, log, sqrt
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice, Value
from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.preference import Preference
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._options import at_least, within
from hwnas.search.tree._node import Node, Statistics
from hwnas.search.tree._values import Code, count, decoded, drawn, encoded, fits
from hwnas.space.moves import walk

_LISTED = 32  # values; of a choice with more of them, new ones are drawn
_DRAWN = 8
_LEAST = 1e-6  # weight; less related trials no longer matter


class MCTS(Strategy):
    """UCT over the choices in the order in which the space asks, related nodes sharing statistics.

    At each node the value with the greatest ``mean + exploration * sqrt(2 ln(visits of the node) /
    visits)`` is taken (Kocsis & Szepesvari 2006; Negrinho & Gordon 2017), ties at random. Numbers
    are bisected: their lower or upper half first, and so on ("tree restructuring" of Negrinho &
    Gordon). What was asked for is a leaf that is not entered again.

    A trial counts at every node, by ``share`` to the power of the decisions above in which it
    differs: 0 is plain UCT with rollouts uniform at random, 1 judges each choice by all trials
    (AMAF, Gelly & Silver 2007). Between them are the transfer between states of Wistuba 2018,
    arXiv:1712.07420, and the similarity weights of Xiao et al. 2018 (memory-augmented MCTS). Every
    value begins with ``prior`` visits worth the mean of all (Gelly & Silver 2007: equivalent
    experience); at 0 the untried come first.

    A node with n visits has at most ``widening * n**alpha`` children (progressive widening, Coulom
    2007; Couetoux et al. 2011), the most promising ones first. Rewards are ranks, ``exp(-rank /
    (top * trials))``, since optimisation asks for the best leaf and not for the best mean (rewards
    by rank with decay: Fialho et al. 2010). They are found anew for each walk, under a preference
    of its own if there are several objectives. What is pending or failed is worth 0: a virtual loss
    (Chaslot et al. 2008).
    """

    paper = (
        "Negrinho & Gordon 2017, DeepArchitect, arXiv:1704.08792;"
        " Wistuba 2018, UCT for architectures, arXiv:1712.07420"
    )

    def __init__(
        self,
        context: Context,
        *,
        exploration: float = 0.15,
        share: float = 0.2,
        prior: float = 0.25,
        top: float = 0.05,
        widening: float = 2.0,
        alpha: float = 0.5,
    ) -> None:
        super().__init__(context)
        at_least(0, exploration=exploration, prior=prior)
        at_least(1, widening=widening)
        within(0, 1, share=share, top=top, alpha=alpha)
        self._exploration = exploration
        self._share = share
        self._prior = prior
        self._top = top
        self._widening = widening
        self._alpha = alpha
        self._preference = Preference(context.objectives)
        self._root = Node()
        self._trials: list[dict[str, Value]] = []
        self._codes: list[list[Code]] = []
        self._metrics: list[dict[str, float] | None] = []  # None while pending, or failed
        self._rows: dict[int, int] = {}  # proposal -> its trial

    def _ask(self, n: int) -> list[Proposal]:
        proposals: list[Proposal] = []
        while len(proposals) < n and not self._root.exhausted:
            proposal = self.context.propose(self._descend())
            self._rows[proposal.id] = len(self._rows)
            proposals.append(proposal)
        return proposals

    def _descend(self) -> Architecture:
        """One walk down the tree and on to a leaf, by the rewards under a new preference."""
        rewards = self._rewards()
        related = dict.fromkeys(range(len(self._trials)), 1.0)
        node = self._root

        def decide(choice: Choice) -> Value:
            nonlocal node, related
            value = self._answer(choice, node, related, rewards)
            node = node.children.get(value) or Node()
            related = self._closer(related, choice.name, value)
            return value

        return self._grow(decide)

    def _grow(self, decide: Callable[[Choice], Value]) -> Architecture:
        """Add the leaf that ``decide`` leads to."""
        path = [self._root]
        codes: list[Code] = []

        def follow(choice: Choice) -> Value:
            value = decide(choice)
            path[-1].size = count(choice)
            path.append(path[-1].children.setdefault(value, Node()))
            codes.append(encoded(choice, value))
            return value

        architecture = walk(self.context.space, follow)
        for node in reversed(path):
            node.visits += 1
            known = all(child.exhausted for child in node.children.values())
            node.exhausted = known and len(node.children) == node.size
        self._trials.append(dict(architecture))
        self._codes.append(codes)
        self._metrics.append(None)
        return architecture

    def _rewards(self) -> list[float]:
        """Of each trial, in [0, 1]: 1 for the best."""
        preference = self._preference.draw(self.context.rng)
        told = [row for row, metrics in enumerate(self._metrics) if metrics is not None]
        known = [m for m in self._metrics if m is not None]
        values = np.array([self._preference.value(m, preference) for m in known])
        ranks = np.searchsorted(np.sort(values), values)  # equals share the better rank
        rewards = np.zeros(len(self._trials))
        rewards[told] = np.exp(-ranks / max(1.0, self._top * len(told)))
        return list(map(float, rewards))

    def _closer(self, related: dict[int, float], name: str, value: Value) -> dict[int, float]:
        """The weights of the trials one decision further down."""
        weights = {}
        for row, weight in related.items():
            trial = self._trials[row]
            same = name in trial and trial[name] == value
            if same or weight * self._share > _LEAST:
                weights[row] = weight if same else weight * self._share
        return weights

    def _answer(
        self, choice: Choice, node: Node, related: Mapping[int, float], rewards: Sequence[float]
    ) -> Value:
        statistics = Statistics()
        for row, weight in related.items():
            if choice.name in self._trials[row]:
                statistics.add(self._trials[row][choice.name], weight, rewards[row])
        if not choice.ordered:
            values = self._candidates(choice, node, statistics)
            return self._best([(value,) for value in values], statistics)[0]
        span: Sequence[Value] = choice.options
        while len(span) > 1:
            halves = span[: len(span) // 2], span[len(span) // 2 :]
            span = self._best([h for h in halves if any(map(node.leads_on, h))], statistics)
        return span[0]

    def _best(self, groups: Sequence[Sequence[Value]], statistics: Statistics) -> Sequence[Value]:
        """The group of values with the greatest upper confidence bound."""
        visits = [sum(statistics.visits[v] for v in group) for group in groups]
        totals = [sum(statistics.totals[v] for v in group) for group in groups]
        mean = sum(totals) / sum(visits) if sum(visits) else 0.0
        parent = sum(visits) + self._prior * len(groups)
        bounds = []
        for own, total in zip(visits, totals, strict=True):
            n = own + self._prior
            value = (total + self._prior * mean) / n if n else inf
            spread = sqrt(2 * log(max(1.0, parent)) / n) if n else 0.0
            bounds.append(value + self._exploration * spread)
        best = [g for g, bound in zip(groups, bounds, strict=True) if bound == max(bounds)]
        return best[self.context.rng.integers(len(best))]

    def _candidates(self, choice: Choice, node: Node, statistics: Statistics) -> list[Value]:
        """The children that lead on and, where there is room for another child, new values."""
        tried = [value for value in node.children if node.leads_on(value)]
        room = ceil(self._widening * max(1, node.visits) ** self._alpha)
        if tried and len(node.children) >= room:
            return tried
        return tried + self._untried(choice, node, statistics)

    def _untried(self, choice: Choice, node: Node, statistics: Statistics) -> list[Value]:
        """All new values, or of many those known from related nodes and some drawn at random."""
        size = count(choice)
        if size <= max(_LISTED, 2 * len(node.children)):
            return [value for value in choice.values if value not in node.children]
        known = [v for v in statistics.visits if fits(choice, v) and v not in node.children]
        new: list[Value] = []
        while len(new) < _DRAWN:  # at least every other value is new
            value = drawn(choice, self.context.rng)
            if value not in node.children:
                new.append(value)
        return list(dict.fromkeys([*known, *new]))

    def _tell(self, outcome: Outcome) -> None:
        metrics = {o.name: float(outcome.metrics[o.name]) for o in self.context.objectives}
        self._preference.observe(metrics)
        self._metrics[self._rows[outcome.proposal.id]] = metrics

    @property
    def _exhausted(self) -> bool:
        return self._root.exhausted

    def _state(self) -> dict[str, Any]:
        unknown = [np.nan] * len(self.context.objectives)
        metrics = [unknown if m is None else list(m.values()) for m in self._metrics]
        return {"ids": list(self._rows), "trials": self._codes, "metrics": np.array(metrics)}

    def _load(self, state: Mapping[str, Any]) -> None:
        """Grow the same tree again, trial by trial."""
        names = [o.name for o in self.context.objectives]
        for codes, values in zip(state["trials"], state["metrics"], strict=True):
            left = iter(codes)
            self._grow(lambda choice, left=left: decoded(choice, next(left)))  # type: ignore[misc]
            if not np.isnan(values).any():
                metrics = dict(zip(names, map(float, values), strict=True))
                self._preference.observe(metrics)
                self._metrics[-1] = metrics
        self._rows = {id: row for row, id in enumerate(state["ids"])}
