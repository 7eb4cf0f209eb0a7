"""What the policy gradient methods share: a policy, its rewards and its batches."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.preference import Preference
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._options import above, at_least, within
from hwnas.search._seen import Seen
from hwnas.search._told import Told, table
from hwnas.space.moves import every, mutate, sample

_RECENT = 64  # networks, of which the median is taken


@dataclass(frozen=True)
class Drawn:
    """What the policy drew under a preference, and the log-probabilities of its answers then."""

    architecture: Architecture
    preference: np.ndarray
    log_probs: np.ndarray

    def to_json(self) -> list[Any]:
        """For a snapshot."""
        return [self.architecture.to_json(), self.preference, self.log_probs]

    @classmethod
    def from_json(cls, data: list[Any]) -> "Drawn":
        """The inverse of :meth:`to_json`."""
        return cls(Architecture.from_json(data[0]), data[1], data[2])


class Policy(Strategy):
    """Draws networks from a controller and improves it by batches of rewarded draws.

    The reward of a network is minus its value under the preference that it was drawn for (with one
    objective: minus the objective), scaled so that the best network known is worth 1 under that
    preference and the median of the latest ones 0, and never below -1, which is also that of a
    failure. So rewards under different preferences compare, and one exponential moving average of
    them is the baseline.

    A draw that is known already is rewarded at once and costs nothing; the policy is then asked
    again, at most ``redraws`` times a proposal. After that a new mutant of its last draw is
    proposed, else a random network, else any that is left. Those are no draws of the policy: it
    learns of them when it draws them itself.
    """

    def __init__(
        self,
        context: Context,
        *,
        batch: int,
        lr: float,
        hidden: int = 32,
        entropy: float = 0.1,
        decay: float = 0.95,
        redraws: int = 5,
    ) -> None:
        super().__init__(context)
        at_least(1, batch=batch, hidden=hidden)
        at_least(0, entropy=entropy, redraws=redraws)
        above(0, lr=lr)
        within(0, 1, decay=decay)
        from hwnas.search._models.controller import Controller

        seed = int(context.rng.integers(2**32))
        self._controller = Controller(len(context.objectives), seed, hidden, lr)
        self._size = batch
        self._entropy = entropy
        self._decay = decay
        self._redraws = redraws
        self._preference = Preference(context.objectives)
        self._baseline: float | None = None
        self._known: dict[Architecture, Told | None] = {}  # None: failed
        self._seen = Seen()  # the known and the pending
        self._drawn: dict[int, Drawn] = {}  # pending draws by proposal
        self._batch: list[Drawn] = []
        self._left = every(context.space)
        self._spare = next(self._left, None)

    def _ask(self, n: int) -> list[Proposal]:
        proposals: list[Proposal] = []
        while len(proposals) < n and not self._exhausted:
            drawn = self._draw()
            new = drawn.architecture not in self._seen
            architecture = drawn.architecture if new else self._other(drawn.architecture)
            self._seen.add(architecture)
            proposal = self.context.propose(architecture)
            if new:
                self._drawn[proposal.id] = drawn
            proposals.append(proposal)
        return proposals

    def _draw(self) -> Drawn:
        """The first new draw, or the last of those allowed; the known ones are learned from."""
        rng = self.context.rng
        for left in reversed(range(self._redraws + 1)):
            preference = self._preference.draw(rng)
            architecture, log_probs = self._controller.sample(self.context.space, preference, rng)
            drawn = Drawn(architecture, preference, log_probs)
            if not left or architecture not in self._seen:
                break
            if architecture in self._known:
                self._reward(drawn)
        return drawn

    def _other(self, known: Architecture) -> Architecture:
        """A new network without the policy."""
        space, rng = self.context.space, self.context.rng
        found = self._seen.fresh(lambda: mutate(space, known, rng))
        found = found or self._seen.fresh(lambda: sample(space, rng)) or self._spare
        assert found is not None
        return found

    def _tell(self, outcome: Outcome) -> None:
        self._preference.observe(outcome.metrics)
        self._learn(outcome.proposal, Told.of(outcome, self.context.objectives))

    def _lost(self, outcome: Outcome) -> None:
        self._learn(outcome.proposal, None)

    def _learn(self, proposal: Proposal, told: Told | None) -> None:
        self._known.pop(proposal.architecture, None)  # the latest are last
        self._known[proposal.architecture] = told
        if proposal.id in self._drawn:
            self._reward(self._drawn.pop(proposal.id))

    def _reward(self, drawn: Drawn) -> None:
        """Add a known network to the batch, and learn from a batch that is full."""
        self._batch.append(drawn)
        if len(self._batch) < self._size:
            return
        rewards = self._rewards(self._batch)
        before = float(rewards.mean()) if self._baseline is None else self._baseline
        self._improve(self._batch, rewards - before)
        self._baseline = before
        for reward in rewards:
            self._baseline += (1 - self._decay) * (float(reward) - self._baseline)
        self._batch = []

    def _rewards(self, batch: list[Drawn]) -> np.ndarray:
        """In [-1, 1], shape ``[batch]``."""
        told = [t for t in self._known.values() if t is not None]
        rewards = np.full(len(batch), -1.0)
        if told:
            values, violation = table(told)
            preferences = np.array([drawn.preference for drawn in batch])
            worth = -self._preference.table(values, violation, preferences)
            middle = np.median(worth[-_RECENT:], axis=0)
            span = worth.max(axis=0) - middle
            rows = {t.id: row for row, t in enumerate(told)}
            for i, drawn in enumerate(batch):
                own = self._known[drawn.architecture]
                if own is not None:
                    gain = worth[rows[own.id], i] - middle[i]
                    rewards[i] = gain / (span[i] if span[i] > 0 else 1.0)
        return rewards.clip(-1.0, 1.0)

    @abstractmethod
    def _improve(self, batch: list[Drawn], advantages: np.ndarray) -> None:
        """Learn from rewards less the baseline, shape ``[batch]``."""

    @property
    def _exhausted(self) -> bool:
        while self._spare is not None and self._spare in self._seen:
            self._spare = next(self._left, None)
        return self._spare is None

    def _state(self) -> dict[str, Any]:
        return {
            "controller": self._controller.state_dict(),
            "preference": self._preference.state_dict(),
            "baseline": self._baseline,
            "known": [(a.to_json(), told and told.state) for a, told in self._known.items()],
            "seen": self._seen.state(),
            "drawn": [(id, drawn.to_json()) for id, drawn in self._drawn.items()],
            "batch": [drawn.to_json() for drawn in self._batch],
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        objectives = self.context.objectives
        self._controller.load_state_dict(state["controller"])
        self._preference.load_state_dict(state["preference"])
        self._baseline = state["baseline"]
        self._known = {
            Architecture.from_json(a): told and Told.load(told, objectives)
            for a, told in state["known"]
        }
        self._seen.load(state["seen"])
        self._drawn = {id: Drawn.from_json(drawn) for id, drawn in state["drawn"]}
        self._batch = [Drawn.from_json(drawn) for drawn in state["batch"]]
