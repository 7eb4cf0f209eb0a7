"""What the strategies share that learn a model of the objectives from what they were told."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.pareto import fronts
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._candidates import Candidates, Score
from hwnas.search._costs import Costs
from hwnas.search._guess import Guess, Predict
from hwnas.search._improvement import Improvement
from hwnas.search._options import at_least
from hwnas.search._seen import Seen
from hwnas.search._told import Told, table
from hwnas.space.moves import sample

_REACH = 1.1  # the reference of improvements, in ranges from the best value told


class Modelled(Strategy):
    """Random networks first, then those of which a model expects the largest improvement.

    ``startup`` networks are random. Then a model of the expensive objectives is fitted to what was
    told, to their logarithms if they are positive; cheap ones are known of every candidate. The
    best of ``candidates`` networks, random ones and mutants of the best told, their own best
    mutated further, is asked for: that of the largest expected improvement of the hypervolume,
    times the probability that it keeps the limits. Those in work count as if they had come out as
    the model expects, so that a batch is diverse. What passes a limit that is known beforehand
    comes last, and nothing is asked for twice.

    Authors write :meth:`_fit`; :meth:`_best` if they look for candidates in another way, and
    :meth:`_chosen` if they ask for something else than the largest improvement.
    Where ``noisy`` the front that is to be improved is not that of the values told but of those
    that the model says the networks told have. If it gives several, each equally likely, the
    improvement is the mean over them (Daulton et al. 2021, section 4: the expectation over the true
    values of the networks told).
    """

    noisy = False

    def __init__(self, context: Context, startup: int, candidates: int) -> None:
        super().__init__(context)
        at_least(1, startup=startup, candidates=candidates)
        self._expensive = np.array([not o.metric.cheap for o in context.objectives])
        self._costs = Costs(context)
        self._guess = Guess(context.objectives, self._expensive, self._costs, self._predict)
        self._startup = startup
        self._candidates = candidates
        self._seed = int(context.rng.integers(2**32))
        self._begun = 0
        self._over = False
        self._told: list[Told] = []
        self._seen = Seen()
        self._candidate = Candidates(context, self._seen)
        self._model: tuple[int, Predict] | None = None  # and how many it was fitted to
        self._extremes: list[Architecture] | None = None

    @abstractmethod
    def _fit(
        self, architectures: Sequence[Architecture], values: np.ndarray, rng: np.random.Generator
    ) -> Predict:
        """Learn expensive values, shape ``[n, n_expensive]``, at least two rows.

        Must be a function of its arguments and of what the snapshot holds, because a search that is
        resumed fits again; ``rng`` is the same for the same number of rows.
        """

    def _ask(self, n: int) -> list[Proposal]:
        proposals: list[Proposal] = []
        while len(proposals) < n and (new := self._next(proposals)) is not None:
            self._seen.add(new.architecture)
            proposals.append(new)
        self._over = not (proposals or self.pending)
        return proposals

    def _next(self, asked: Sequence[Proposal]) -> Proposal | None:
        if self._begun < self._startup or len(self._told) < 2:
            self._begun += 1
            return self._proposed(self._random())
        return self._chosen(asked)

    def _chosen(self, asked: Sequence[Proposal]) -> Proposal | None:
        """What to ask for by the model, None if there is nothing; ``asked`` is not pending yet."""
        waiting = [p.architecture for p in [*self.pending.values(), *asked]]
        return self._proposed(self._best(self._acquisition(waiting)))

    def _proposed(self, new: Architecture | None, parent: int | None = None) -> Proposal | None:
        return None if new is None else self.context.propose(new, parent=parent)

    def _random(self) -> Architecture | None:
        return self._seen.fresh(lambda: sample(self.context.space, self.context.rng))

    def _predict(self, architectures: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
        """What the model of all that was told says, which is fitted once; see :data:`Predict`."""
        told = self._told
        if self._model is None or self._model[0] != len(told):
            values, _ = table(told)
            logarithmic = self._logarithmic(values)[self._expensive]
            values = values[:, self._expensive]
            values[:, logarithmic] = np.log(values[:, logarithmic])
            rng = np.random.default_rng([self._seed, len(told)])
            self._model = len(told), self._fit([t.architecture for t in told], values, rng)
        return self._model[1](architectures)

    def _logarithmic(self, values: np.ndarray) -> np.ndarray:
        """Which objectives are modelled by their logarithms, shape ``[n_objectives]``."""
        return self._expensive & (values > 0).all(axis=0)

    def _acquisition(self, waiting: Sequence[Architecture]) -> Score:
        """The expected improvement, with what is ``waiting`` taken for told."""
        values, violation = table(self._told)
        logarithmic = self._logarithmic(values)
        low, high = self._range(values)
        reference = low + _REACH * np.where(high > low, high - low, 1.0)
        told = [t.architecture for t in self._told] if self.noisy else []
        means, _, over = self._guess([*told, *waiting])
        means[..., logarithmic] = np.exp(means[..., logarithmic])
        violation = np.append(violation, over[len(told) :])
        improvements = []
        for mean in means:
            true = values.copy()
            true[: len(told), self._expensive] = mean[: len(told), self._expensive]
            expected = mean[len(told) :]
            true = np.vstack([true, np.where(np.isfinite(expected), expected, high)])
            improvements.append(Improvement(true[violation <= 0], reference))

        def score(architectures: Sequence[Architecture]) -> np.ndarray:
            means, deviation, over = self._guess(architectures)
            known = np.isfinite(means).all(axis=(0, 2))
            means, deviation = means[:, known], deviation[known]
            gains = [
                improvement(mean, deviation, logarithmic)
                * self._guess.feasible(mean, deviation, logarithmic)
                for mean, improvement in zip(means, improvements, strict=True)
            ]
            result = np.full(len(known), -np.inf)
            result[known] = np.where(over[known] > 0, -over[known], np.mean(gains, axis=0))
            return result

        return score

    def _range(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The best and the worst of each objective, of ``values [n, n_objectives]`` told."""
        return values.min(axis=0), values.max(axis=0)

    def _best(self, score: Score) -> Architecture | None:
        """The best candidate that was not asked for, None if there is none."""
        ranked = np.concatenate(fronts(*table(self._told)))
        told = [self._told[i].architecture for i in ranked]
        return self._candidate.mutated(told, score, self._candidates)

    def _front(self) -> list[Architecture]:
        """The networks told that no other dominates."""
        return [self._told[i].architecture for i in fronts(*table(self._told))[0]]

    def _ends(self, searches: int, exchanges: int) -> list[Architecture]:
        """The network of the least value of each cheap objective, looked for once."""
        if self._extremes is None:

            def value(architecture: Architecture, place: int) -> float:
                costs = self._costs(architecture)
                return np.inf if costs is None else float(self._costs.cheap.values(costs)[place])

            rng, count = np.random.default_rng(self._seed), self._candidates
            self._extremes = [
                self._candidate.least(partial(value, place=j), count, searches, exchanges, rng)
                for j in range(len(self._costs.cheap))
            ]
        return self._extremes

    def _tell(self, outcome: Outcome) -> None:
        self._told.append(Told.of(outcome, self.context.objectives))

    @property
    def _exhausted(self) -> bool:
        return self._over

    def _state(self) -> dict[str, Any]:
        return {
            "seed": self._seed,
            "begun": self._begun,
            "over": self._over,
            "told": [told.state for told in self._told],
            "seen": self._seen.state(),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._seed, self._begun, self._over = state["seed"], state["begun"], state["over"]
        self._told = [Told.load(t, self.context.objectives) for t in state["told"]]
        self._seen.load(state["seen"])
        self._model = self._extremes = None
