"""ProxylessNAS: direct architecture search through binary gates."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from hwnas.core.choice import Choice
from hwnas.core.context import Context
from hwnas.core.mixture import Mixture
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.search._options import at_least
from hwnas.search.gradient._descent import Descent, Parameters
from hwnas.search.gradient._gradient import Gradient
from hwnas.search.gradient._softmax import chained, softmax

_DECAY = 0.95  # of the average score that is the baseline


class Proxyless(Gradient):
    """Trains one path at a time, and moves the chances of two options of each choice.

    A step is a weight step of a network whose options are drawn by their probabilities, and then
    one of the architecture parameters, by ``method``:

    - ``gradient``: two options of each choice are drawn and computed, one of them is taken by their
      rescaled probabilities p', and d loss / d alpha_i is the sum over both of d loss / d gate_j
      p'_j (delta_ij - p'_i) (section 3.2). What the two are worth together stays as it was. The
      paper leaves it at that; ``unbiased`` makes up for how likely the two were drawn, so that it
      is the gradient of the expected loss where the loss is linear in the gates of a choice.
    - ``reinforce``: ``samples`` networks are drawn and scored on one batch of validation data; each
      moves alpha by (score - average) d log p / d alpha (section 3.3).

    Costs that have a table enter by their expectation in the former (section 3.3). A choice that
    takes ``k`` options has the distribution of k-sets whose weights are the products of those of
    their options; ``k + 1`` options are computed.
    """

    paper = "Cai et al. 2019, ProxylessNAS, arXiv:1812.00332"

    def __init__(
        self,
        context: Context,
        *,
        method: Literal["gradient", "reinforce"] = "gradient",
        unbiased: bool = False,
        samples: int = 4,
        lr: float = 6e-3,
        **options: Any,
    ) -> None:
        # No momentum, as in the authors' code, so that only what was drawn moves.
        super().__init__(context, betas=(0.0, 0.999), lr=lr, **options)
        at_least(1, samples=samples)
        self._reinforces = method == "reinforce"
        self.turns = 1 + (samples if self._reinforces else 1)
        self._unbiased = unbiased
        self._sets = {name: sets(choice) for name, choice in self._choices.items()}
        self._baselines: list[float | None] = [None] * len(self._descents)
        self._climbed: Parameters = {}  # the gradient so far, in one step of reinforce

    def _propose(self, descent: Descent) -> Proposal:
        measures = self._turn > 0 and not self._reinforces
        weights, active = {}, {}
        for name, members in self._sets.items():
            a = descent.parameters[name]
            taken = self._drawn(members, a)
            if measures:
                computed = taken + self._other(a, taken)
                taken = self._drawn(_within(members, computed), a)
                active[name] = tuple(np.flatnonzero(computed).tolist())
            else:
                active[name] = tuple(np.flatnonzero(taken).tolist())
            weights[name] = taken
        point = Mixture(weights, active)
        if measures:
            return self.context.propose(point, train=0, score=0, gradient=1)
        train, batches = (0, 1) if self._turn else (1, 0)
        return self.context.propose(point, train=train, score=batches)

    def _drawn(self, members: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """One of the sets, by their probabilities."""
        chances = softmax(members @ parameters)
        return np.asarray(members[self.context.rng.choice(len(members), p=chances)])

    def _other(self, parameters: np.ndarray, taken: np.ndarray) -> np.ndarray:
        """One option more."""
        chances = softmax(np.where(taken > 0, -np.inf, parameters))
        return np.asarray(np.eye(len(taken))[self.context.rng.choice(len(taken), p=chances)])

    def _slope(
        self, parameters: np.ndarray, choice: Choice, point: Mixture, given: np.ndarray
    ) -> np.ndarray:
        computed = np.zeros(len(parameters))
        computed[list(point.active[choice.name])] = 1
        members = _within(self._sets[choice.name], computed)
        chances = softmax(members @ parameters)
        moved = chained(chances, members @ given)
        if self._unbiased and choice.k is None:
            # p_i p_j over the chance that i and j are drawn, for p'_i p'_j.
            first, second = softmax(parameters)[list(point.active[choice.name])]
            moved = moved / chances.prod() / (1 / (1 - first) + 1 / (1 - second))
        return np.asarray(moved @ members)

    def _moved(
        self, before: np.ndarray, after: np.ndarray, choice: Choice, point: Mixture
    ) -> np.ndarray:
        if self._reinforces or choice.k is not None:
            return after
        pair = list(point.active[choice.name])
        after = after.copy()
        after[pair] += np.log(np.exp(before[pair]).sum() / np.exp(after[pair]).sum())
        return after

    def _learn(self, descent: Descent, outcome: Outcome) -> None:
        if not self._reinforces or not self._turn:
            super()._learn(descent, outcome)
            return
        score = sum(
            w * outcome.metrics[n] / self._first(n, outcome) for n, w in descent.wish.items()
        )
        place = self._descents.index(descent)
        baseline = self._baselines[place]
        ahead = score - (score if baseline is None else baseline)
        self._baselines[place] = score - _DECAY * ahead
        for name, choice in self._choices.items():
            members, a = self._sets[name], descent.parameters[name]
            expected = softmax(members @ a) @ members
            slope = ahead * (outcome.proposal.point.weights(choice) - expected)
            self._climbed[name] = self._climbed.get(name, 0.0) + slope / (self.turns - 1)
        if self._turn == self.turns - 1:
            descent.parameters = descent.step(self._climbed)
            self._climbed = {}

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "baselines": self._baselines, "climbed": self._climbed}

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        self._baselines = list(state["baselines"])
        self._climbed = dict(state["climbed"])


def sets(choice: Choice) -> np.ndarray:
    """Every value of a choice as a 0/1 row, shape ``[n_values, n_options]``."""
    return np.array([choice.weights(value) for value in choice.values])


def _within(members: np.ndarray, options: np.ndarray) -> np.ndarray:
    """The sets of nothing but these options."""
    return np.asarray(members[(members <= options).all(axis=1)])
