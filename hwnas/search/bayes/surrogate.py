"""Bayesian optimisation with a model of our own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from math import ceil
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.proposal import Proposal
from hwnas.search._additive import Additive, Hyperparameters, learn
from hwnas.search._best_first import BestFirst
from hwnas.search._candidates import Score
from hwnas.search._graphs import network
from hwnas.search._guess import Predict, stacked
from hwnas.search._modelled import Modelled
from hwnas.search._options import at_least
from hwnas.search._paths import Paths
from hwnas.search._similarity import Choices, Counts, chains
from hwnas.search._told import table
from hwnas.space.moves import sample

_GROWTH = 1.1  # of the number told, after which the hyperparameters are learned again
_RUN = 3  # layers
_NEW = 0.1  # of the candidates, which are random; reading a network takes time
_FOUND = 5  # times the candidates, which are remembered
_LUCK = 4.0  # times its variance among those told: others differ by more, see ADR 0010
_KEPT = 1000  # graphs, which several views read one after another


class Surrogate(Modelled):
    """A Gaussian process of all that makes networks alike, where what is cheap is known.

    An expensive objective is the sum of three functions, each alike for networks that are near: by
    what lies on their paths, as :class:`~hwnas.search._paths.Paths` says; by the runs of up to
    three layers that they have in common once identities, zeros and dead branches are gone; by
    their choices. How much each varies and how far it carries have the greatest evidence, and so
    has whether the logarithm or the reciprocal of a positive objective is that sum (ADR 0010).

    Trainings of the same network differ by luck. What is asked for is what will be told, so luck is
    part of what is expected, with twice the deviation that those told show, as the others are less
    alike. Networks of the same layers that were told exactly the same, two at the least, have none:
    all training of networks that ignore their input ends alike, and others of them are not asked
    for.

    What is asked for has the largest expected improvement of the hypervolume, computed exactly, as
    cheap objectives have no uncertainty (Emmerich et al. 2006; Yang et al. 2019). It is looked for
    best first: each time the best ``searches`` of the networks known that were not opened yet show
    all that differ from them in one choice, or ``neighbours`` of them. Known are the front, the
    best that were found before, five times ``candidates``, and a tenth of ``candidates`` random
    ones. The cheapest network by each cheap objective is an end of the front whatever it is worth,
    and is asked for after the random ones. The reference of the hypervolume lies beyond what is
    known of cheap objectives, not of the networks told alone: else all that is dearer than the
    dearest told would be worth nothing.
    """

    paper = (
        "Emmerich et al. 2006, Single- and multiobjective evolutionary optimization assisted by "
        "Gaussian random field metamodels; Ralaivola et al. 2005, Graph kernels for chemical "
        "informatics"
    )

    def __init__(
        self,
        context: Context,
        *,
        startup: int = 10,
        candidates: int = 100,
        searches: int = 5,
        neighbours: int = 50,
    ) -> None:
        super().__init__(context, startup, candidates)
        at_least(1, searches=searches, neighbours=neighbours)
        self._searches = searches
        self._exchanges = neighbours
        read = lru_cache(_KEPT)(partial(network, context.space.sketch()))
        layers = Counts(lambda architecture: chains(read(architecture), _RUN))
        self._views = layers, Choices(context.space), Paths(read)
        self._apart = self._nothing_told()
        # Of each expensive objective; and from how many networks, and which are positive.
        self._learned: tuple[tuple[int, list[bool]], list[Hyperparameters]] = ((0, []), [])
        self._spread: np.ndarray | None = None
        self._drawn = ceil(_NEW * candidates)
        most = _FOUND * candidates
        self._around = BestFirst(context, self._seen, searches, neighbours, most)

    def _fit(
        self, architectures: Sequence[Architecture], values: np.ndarray, rng: np.random.Generator
    ) -> Predict:
        measures = [view(architectures) for view in self._views]
        self._apart = [
            _grown(old, measure(architectures[len(old) :]))
            for old, measure in zip(self._apart, measures[:-1], strict=True)
        ]
        distances = [*self._apart, measures[-1](architectures)]
        positive = self._logarithmic(table(self._told)[0])[self._expensive].tolist()
        first = self._stage(len(values))
        if self._learned[0] != (first, positive):
            some = [distance[:first, :first] for distance in distances]
            self._learned = (
                (first, positive),
                [_likelier(some, y[:first], p) for y, p in zip(values.T, positive, strict=True)],
            )
        processes = [
            Additive(learned, distances, y)
            for learned, y in zip(self._learned[1], values.T, strict=True)
        ]

        certain = [
            i
            for i, same in enumerate(distances[0] == 0)  # what computes the same
            if same.sum() > 1 and not np.ptp(values[same], 0).any()
        ]

        def predict(at: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
            away = [measure(at) for measure in measures]
            mean, deviation = stacked([process(away) for process in processes])
            for i in certain:
                same = away[0][:, i] == 0
                mean[same], deviation[same] = values[i], 0.0
            return mean, deviation

        return predict

    def _nothing_told(self) -> list[np.ndarray]:
        """By all views but the last: distances by paths change with what is known."""
        return [np.zeros((0, 0)) for _ in self._views[:-1]]

    def _stage(self, told: int) -> int:
        """From how many of those told hyperparameters are learned: by their number alone."""
        stage = 2
        while ceil(_GROWTH * stage + 1) <= told:
            stage = ceil(_GROWTH * stage + 1)
        return stage

    def _chosen(self, asked: Sequence[Proposal]) -> Proposal | None:
        from threadpoolctl import threadpool_limits

        for end in self._ends(self._searches, self._exchanges):
            if end not in self._seen and self._costs.allowed(end) is not None:
                return self._proposed(end)
        with threadpool_limits(1, user_api="blas"):  # on such small matrices more take longer
            return super()._chosen(asked)

    def _range(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        low, high = super()._range(values)
        if self._spread is None:
            self._spread = self._known()
        if self._spread.size:
            cheap = ~self._expensive
            low[cheap] = np.minimum(low[cheap], self._spread.min(axis=0))
            high[cheap] = np.maximum(high[cheap], self._spread.max(axis=0))
        return low, high

    def _known(self) -> np.ndarray:
        """Cheap objectives of the ends and of random networks within limits, ``[n, n_cheap]``."""
        rng, cheap = np.random.default_rng(self._seed), self._costs.cheap
        some = [sample(self.context.space, rng) for _ in range(self._candidates)]
        found = map(self._costs.allowed, [*self._ends(self._searches, self._exchanges), *some])
        values = [cheap.values(costs) for costs in found if costs is not None]
        return np.array(values).reshape(len(values), len(cheap))

    def _best(self, score: Score) -> Architecture | None:
        new = [sample(self.context.space, self.context.rng) for _ in range(self._drawn)]
        ends = self._ends(self._searches, self._exchanges)
        return self._around(score, [*self._front(), *ends, *new])

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "around": self._around.state()}

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        self._around.load(state["around"])
        self._learned, self._spread = ((0, []), []), None
        self._apart = self._nothing_told()


def _likelier(distances: Sequence[np.ndarray], y: np.ndarray, positive: bool) -> Hyperparameters:
    """Of the logarithms of what is positive, or of its reciprocals if those are likelier.

    Luck is that of networks that were not told.
    """
    ways = [learn(distances, y, reciprocal) for reciprocal in (False, True)[: 1 + positive]]
    best = max(ways, key=lambda learned: learned.evidence)
    return replace(best, luck=_LUCK * best.luck)


def _grown(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Distances ``[n, n]`` of networks, from those of all but the last and of the last to all."""
    k = len(old)
    return np.block([[old, new[:, :k].T], [new]])
