"""Tabular Q-learning of one decision after another."""

from collections import deque
from collections.abc import Callable, Mapping
from math import comb
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice, Label, Value
from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.preference import Preference
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._directions import directions
from hwnas.search._options import above, at_least, within
from hwnas.search._seen import Seen
from hwnas.search._told import Told, table
from hwnas.space.moves import walk

_SCHEDULE = {
    1.0: 1500,
    **dict.fromkeys((0.9, 0.8, 0.7), 100),
    **dict.fromkeys((0.6, 0.5, 0.4, 0.3, 0.2, 0.1), 150),
}
"""Epsilon, and for how many networks it lasts (MetaQNN, Table 3)."""

_FIRST = 0.5  # what a network is thought to be worth before any is known, as in MetaQNN
_TRIES = 50

_State = tuple[str, tuple[Label, ...], tuple[Label, ...]]
"""The choice asked, the options that it offers, and what was taken just before."""

_Step = tuple[_State, int]
"""A state and which of its options was taken."""


class QLearning(Strategy):
    """Decisions are taken epsilon-greedily by their Q values, learned from replayed networks.

    MetaQNN: epsilon falls from 1 to 0.1, in the paper's steps as shares of the budget. After each
    network ``replay`` of those told, drawn uniformly, are replayed from their last decision to
    their first: Q moves by ``rate`` towards the reward and ``discount`` times the best Q of what
    came next (equation 3). Q begins at 0.5, as in the paper.

    A state is the choice asked, the options that it offers, and the last ``memory`` answers: as in
    the paper what came long before is forgotten, so that networks teach each other. If the reward
    came at the end alone, a decision would then learn nothing of what it does beyond the next few,
    so it is spread evenly over all decisions (``shaping``; BlockQNN, section 4.2). Where
    several options are taken at once, each is a decision, in the order offered.

    With several objectives there is a table for each of ``preferences`` vectors spread over the
    simplex. A proposal is greedy by one of them in turn; a network teaches all of them, as
    Q-learning is off-policy. The reward is one minus the augmented Chebyshev value under the scales
    at the time of replay. What passes a limit is worth less than nothing, and what failed is worth
    -1, the least. Of known networks none is asked for again: the walk is repeated with a greater
    epsilon.
    """

    paper = (
        "Baker et al. 2017, MetaQNN, arXiv:1611.02167;"
        " Zhong et al. 2018, BlockQNN, arXiv:1708.05552"
    )

    def __init__(
        self,
        context: Context,
        *,
        rate: float = 0.01,
        discount: float = 1.0,
        replay: int = 100,
        memory: int = 1,
        shaping: bool = True,
        preferences: int = 10,
    ) -> None:
        super().__init__(context)
        above(0, rate=rate)
        within(0, 1, rate=rate, discount=discount)
        at_least(0, memory=memory)
        at_least(1, replay=replay)
        at_least(len(context.objectives), preferences=preferences)
        self._rate = rate
        self._discount = discount
        self._replay = replay
        self._memory = memory
        self._shaping = shaping
        self._directions = directions(len(context.objectives), preferences)
        self._preference = Preference(context.objectives)
        self._q: dict[_State, np.ndarray] = {}  # [n_preferences, n_options] each
        self._trials: list[tuple[Architecture, Told | None]] = []  # None: failed
        self._paths: list[list[_Step]] = []  # of each trial
        self._seen = Seen()
        self._over = False

    def _ask(self, n: int) -> list[Proposal]:
        proposals: list[Proposal] = []
        while len(proposals) < n and (new := self._new()) is not None:
            self._seen.add(new)
            proposals.append(self.context.propose(new))
        self._over = not (proposals or self.pending)
        return proposals

    def _new(self) -> Architecture | None:
        """A network not asked for before, None if there seems to be none."""
        epsilon = _epsilon(len(self._seen) / self.context.evaluations)
        table = len(self._seen) % len(self._directions)
        raised = iter(np.linspace(epsilon, 1, _TRIES))
        return self._seen.fresh(lambda: self._draw(next(raised), table), _TRIES)

    def _draw(self, epsilon: float, table: int) -> Architecture:
        """One walk, greedy but for a share ``epsilon`` of its decisions."""
        rng = self.context.rng

        def act(state: _State, left: int) -> int:
            n = len(state[1])
            if state not in self._q or rng.random() < epsilon:  # all combinations alike
                ways = np.cumsum([comb(n - 1 - i + left, left) for i in range(n)])
                return int(np.searchsorted(ways, rng.integers(ways[-1]), side="right"))
            values = self._q[state][table]
            best = np.flatnonzero(values == values.max())
            return int(best[rng.integers(len(best))])

        return self._walk(act)[0]

    def _walk(self, act: Callable[[_State, int], int]) -> tuple[Architecture, list[_Step]]:
        """A network by what ``act`` takes, told the state and how many are to be taken after it."""
        recent: deque[Label] = deque(maxlen=self._memory)
        path: list[_Step] = []

        def decide(choice: Choice) -> Value:
            taken: list[Label] = []
            first, last = 0, len(choice.options)
            for left in reversed(range(choice.k or 1)):
                state = choice.name, choice.options[first : last - left], tuple(recent)
                path.append((state, act(state, left)))
                first += path[-1][1] + 1
                taken.append(choice.options[first - 1])
                recent.append(taken[-1])
            return taken[0] if choice.k is None else tuple(taken)

        return walk(self.context.space, decide), path

    def _tell(self, outcome: Outcome) -> None:
        self._add(outcome.proposal.architecture, Told.of(outcome, self.context.objectives))
        self._learn()

    def _lost(self, outcome: Outcome) -> None:
        self._add(outcome.proposal.architecture, None)
        self._learn()

    def _add(self, architecture: Architecture, told: Told | None) -> None:
        """One trial more, and the Q values that it calls for."""

        def act(state: _State, _: int) -> int:
            value = architecture[state[0]]
            wanted = value if isinstance(value, tuple) else (value,)
            return next(i for i, option in enumerate(state[1]) if option in wanted)

        path = self._walk(act)[1]
        for i, (state, _) in enumerate(path):
            if state not in self._q:
                share = (len(path) - i) / len(path) if self._shaping else 1.0
                self._q[state] = np.full((len(self._directions), len(state[1])), _FIRST * share)
        self._trials.append((architecture, told))
        self._paths.append(path)
        if told is not None:
            self._preference.observe(told.metrics)

    def _learn(self) -> None:
        """Replay."""
        drawn = self.context.rng.integers(len(self._trials), size=self._replay)
        for trial, reward in zip(drawn.tolist(), self._rewards(drawn), strict=True):
            path = self._paths[trial]
            now = reward / len(path) if self._shaping and path else reward
            future = np.zeros_like(reward)
            for state, action in reversed(path):
                q = self._q[state]
                q[:, action] += self._rate * (now + self._discount * future - q[:, action])
                now = now if self._shaping else np.zeros_like(reward)
                future = q.max(axis=1)

    def _rewards(self, trials: np.ndarray) -> np.ndarray:
        """Up to 1, below -0.5 of what passes a limit, shape ``[n, n_preferences]``."""
        rewards = np.full((len(trials), len(self._directions)), -1.0)
        told = [self._trials[trial][1] for trial in trials]
        known = [i for i, t in enumerate(told) if t is not None]
        if known:
            values, violation = table([t for t in told if t is not None])
            value = self._preference.table(values, violation, self._directions)
            rewards[known] = 1 - np.where(value < 2, value, 2 - 1 / value.clip(2))
        return rewards

    @property
    def _exhausted(self) -> bool:
        return self._over

    def _state(self) -> dict[str, Any]:
        return {
            "trials": [[a.to_json(), told and told.state] for a, told in self._trials],
            "q": np.concatenate([np.empty((len(self._directions), 0)), *self._q.values()], axis=1),
            "seen": self._seen.state(),
            "over": self._over,
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        for architecture, known in state["trials"]:
            told = known and Told.load(known, self.context.objectives)
            self._add(Architecture.from_json(architecture), told)
        at = 0
        for q in self._q.values():  # in the same order, as the trials are
            q[:] = state["q"][:, at : at + q.shape[1]]
            at += q.shape[1]
        self._seen.load(state["seen"])
        self._over = state["over"]


def _epsilon(share: float) -> float:
    """When a share of the budget is spent."""
    left = share * sum(_SCHEDULE.values())
    for epsilon, networks in _SCHEDULE.items():
        left -= networks
        if left < 0:
            return epsilon
    return epsilon
