"""Efficient architecture search: a policy that transforms trained networks."""

from collections.abc import Mapping
from math import pi, tan
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Label
from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.outcome import Outcome
from hwnas.core.preference import Preference
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._options import above, at_least, within
from hwnas.search._seen import Seen
from hwnas.search._told import Told
from hwnas.search.policy._morphisms import DEEPEN, WIDEN, grown, smallest
from hwnas.space.replay import build

if TYPE_CHECKING:
    from hwnas.search._models.actors import Action

_DECAY = 0.95  # of the moving average of rewards, in the authors' code
_SHARE = 0.95  # of a right angle is what the best possible value becomes
_TRIES = 20

_Episode = tuple[np.ndarray, list["Action"]]
"""A preference and what was decided under it."""


class EAS(Strategy):
    """Actors widen and deepen a trained network, whose weights the children take over.

    The first network is the smallest that the space has. An episode is ``wider`` actions of the
    Net2Wider actor, each of which decides for every layer whether to double its width, then
    ``deeper`` of the Net2Deeper actor, each of which inserts one layer. What comes of it keeps the
    function of the network it began with and is trained from there. After a share ``first`` of the
    budget episodes begin with the best network so far, which is the paper's second stage (there 300
    of 450 networks).

    The actors learn by REINFORCE from each ``batch`` of episodes, with the step size ``lr`` of
    Adam, an ``entropy`` bonus and a moving average as the baseline. The paper's reward, tan(pi / 2
    * accuracy), tells good networks apart. Here it is that of 0.95 (1 - value / 1.05), value being
    the augmented Chebyshev value under the preference of the episode, that the actors see; what
    passes a limit has a negative one. As in the paper a known network is not trained again, but
    teaches.

    The space must offer "widen" and "deepen" step by step, as ``morph`` does.
    """

    paper = "Cai et al. 2018, Efficient architecture search, arXiv:1707.04873"
    needs = frozenset({"parent", "inherit"})

    def __init__(
        self,
        context: Context,
        *,
        wider: int = 4,
        deeper: int = 5,
        batch: int = 10,
        first: float = 2 / 3,
        lr: float = 2e-3,
        entropy: float = 1e-5,
    ) -> None:
        super().__init__(context)
        at_least(0, wider=wider, deeper=deeper, entropy=entropy)
        at_least(1, batch=batch)
        within(0, 1, first=first)
        above(0, lr=lr)
        if wider + deeper == 0:
            raise HwnasError("search.wider: must be at least 1 if deeper is 0, got 0.")
        self._seed = smallest(context.space)
        from hwnas.search._models.actors import Action, Actors

        self._action = Action
        self._actors = Actors(len(context.objectives), int(context.rng.integers(2**32)), lr)
        self._wider = wider
        self._deeper = deeper
        self._batch = batch
        self._first = first
        self._entropy = entropy
        self._preference = Preference(context.objectives)
        self._baseline = 0.0
        self._told: dict[Architecture, Told] = {}
        self._episodes: dict[int, _Episode] = {}  # of what is pending
        self._done: list[tuple[_Episode, Told]] = []  # not learnt from yet
        self._seen = Seen()
        self._over = False

    def _ask(self, n: int) -> list[Proposal]:
        if self._seed not in self._seen:
            self._seen.add(self._seed)
            return [self.context.propose(self._seed)]
        if any(p.architecture == self._seed for p in self.pending.values()):
            return []  # its weights are to be taken over
        proposals: list[Proposal] = []
        while len(proposals) < n and (new := self._new()) is not None:
            proposals.append(new)
        self._over = not (proposals or self.pending)
        return proposals

    def _new(self) -> Proposal | None:
        """A child not asked for before, None if there seems to be none."""
        for _ in range(_TRIES):
            preference = self._preference.draw(self.context.rng)
            parent = self._parent(preference)
            child, actions = self._episode(
                parent.architecture if parent else self._seed, preference
            )
            if child not in self._seen:
                self._seen.add(child)
                proposal = self.context.propose(child, parent=parent.id if parent else None)
                self._episodes[proposal.id] = preference, actions
                return proposal
            if child in self._told:
                self._learn((preference, actions), self._told[child])
        return None

    def _parent(self, preference: np.ndarray) -> Told | None:
        """The network that an episode begins with, None for the smallest if that has failed."""
        if len(self._seen) < self._first * self.context.evaluations or not self._told:
            return self._told.get(self._seed)
        return min(self._told.values(), key=lambda t: self._preference.value(t.metrics, preference))

    def _episode(
        self, network: Architecture, preference: np.ndarray
    ) -> tuple[Architecture, list["Action"]]:
        """What the actors make of a network."""
        actions = []
        rng = self.context.rng
        for kind in [WIDEN] * self._wider + [DEEPEN] * self._deeper:
            further, offered = grown(self.context.space, network, kind)
            if further == network:
                continue  # it can be applied nowhere
            nodes = [node for node in build(self.context.space, network) if node.op]
            layers = [(node.op.label, node.type.shape[0]) for node in nodes if node.op]
            # The only place is not asked for, so it is not known.
            names = offered.get("where", (None,))
            ids = [node.id for node in nodes]
            places = [ids.index(str(name)) if name in ids else -1 for name in names]
            if kind == WIDEN:
                action = self._actors.wider(layers, places, preference, rng)
                for name, taken in zip(names, action.taken, strict=True):
                    if taken:
                        network, _ = grown(self.context.space, network, kind, name)
            else:

                def kernels(
                    place: int, network: Architecture = network, names: Any = names
                ) -> tuple[Label, ...]:
                    return grown(self.context.space, network, DEEPEN, names[place])[1].get(
                        "kernel", (None,)
                    )

                action = self._actors.deeper(layers, places, kernels, preference, rng)
                place, kernel = action.taken
                network, _ = grown(
                    self.context.space, network, kind, names[place], action.details[kernel]
                )
            actions.append(action)
        return network, actions

    def _tell(self, outcome: Outcome) -> None:
        told = Told.of(outcome, self.context.objectives)
        self._preference.observe(told.metrics)
        self._told[told.architecture] = told
        episode = self._episodes.pop(outcome.proposal.id, None)
        if episode is not None:
            self._learn(episode, told)

    def _lost(self, outcome: Outcome) -> None:
        self._episodes.pop(outcome.proposal.id, None)

    def _learn(self, episode: _Episode, told: Told) -> None:
        """Keep it until there is a batch, then take a step of REINFORCE."""
        self._done.append((episode, told))
        if len(self._done) < self._batch:
            return
        preferences = [preference for (preference, _), _ in self._done]
        rewards = np.array([self._reward(t, p) for (p, _), t in self._done])
        self._baseline += _DECAY * (float(rewards.mean()) - self._baseline)
        episodes = [actions for (_, actions), _ in self._done]
        self._actors.ascend(episodes, preferences, rewards - self._baseline, self._entropy)
        self._done = []

    def _reward(self, told: Told, preference: np.ndarray) -> float:
        value = self._preference.value(told.metrics, preference)
        good = 1 - value / 1.05 if value < 2 else 1 / value - 1
        return tan(_SHARE * good * pi / 2)

    @property
    def _exhausted(self) -> bool:
        return self._over

    def _state(self) -> dict[str, Any]:
        return {
            "actors": self._actors.state_dict(),
            "baseline": self._baseline,
            "told": [told.state for told in self._told.values()],
            "episodes": {str(id): _plain(episode) for id, episode in self._episodes.items()},
            "done": [[_plain(episode), told.id] for episode, told in self._done],
            "seen": self._seen.state(),
            "over": self._over,
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._actors.load_state_dict(state["actors"])
        self._baseline = state["baseline"]
        known = {t[0]: Told.load(t, self.context.objectives) for t in state["told"]}
        self._told = {told.architecture: told for told in known.values()}
        for told in known.values():
            self._preference.observe(told.metrics)
        self._episodes = {int(id): self._restored(e) for id, e in state["episodes"].items()}
        self._done = [(self._restored(e), known[id]) for e, id in state["done"]]
        self._seen.load(state["seen"])
        self._over = state["over"]

    def _restored(self, episode: Any) -> _Episode:
        preference, actions = episode
        return preference, [self._action(*action) for action in actions]


def _plain(episode: _Episode) -> list[Any]:
    preference, actions = episode
    return [preference, [list(action) for action in actions]]
