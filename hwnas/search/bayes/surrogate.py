"""Bayesian optimisation with a model of our own."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.proposal import Proposal
from hwnas.search._averaging import Members, Posterior, weigh
from hwnas.search._candidates import Score
from hwnas.search._guess import Predict, stacked
from hwnas.search._modelled import Modelled
from hwnas.search._options import at_least
from hwnas.search._similarity import Choices, Counts, chains
from hwnas.space.moves import sample

_GROWTH = 1.1  # of the number told, after which the members are weighed again


class Surrogate(Modelled):
    """Gaussian processes on what networks are made of, averaged, and what is cheap is known.

    An expensive objective is predicted by several processes, which see networks in two ways: by the
    choices in which they differ, and by the layers and pairs of consecutive layers that they have
    in common once identities, zeros and dead branches are gone. How far a network carries, and how
    noisy training is, differs between them too; they are weighted by their evidence (ADR 0010).

    Networks of the same layers that were told exactly the same, two at the least, have no noise:
    all training of networks that ignore their input ends alike, and others of them are not asked
    for.

    What is asked for has the largest expected improvement of the hypervolume, computed exactly, as
    cheap objectives have no uncertainty (Emmerich et al. 2006; Yang et al. 2019). It is looked for
    among ``candidates`` random networks and by local ``searches`` that begin on the front and at
    the best of those, through all networks that differ in one choice, or ``neighbours`` of them.
    The cheapest network by each cheap objective is an end of the front whatever it is worth, and is
    asked for after the random ones. The reference of the hypervolume lies beyond what is known of
    cheap objectives, not of the networks told alone: else all that is dearer than the dearest told
    would be worth nothing.
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
        self._choices = Choices(context.space)
        self._layers = Counts(chains(context.space.sketch(), 2))
        self._members: tuple[int, list[Members]] = (0, [])  # and how many they were learned from
        self._spread: np.ndarray | None = None

    def _fit(
        self, architectures: Sequence[Architecture], values: np.ndarray, rng: np.random.Generator
    ) -> Predict:
        by_choices, by_layers = self._choices(architectures), self._layers(architectures)
        layers = by_layers(architectures)  # 0 where they compute the same
        distances = [by_choices(architectures), layers]
        first = self._stage(len(values))
        if self._members[0] != first:
            some = [distance[:first, :first] for distance in distances]
            self._members = first, [weigh(some, y[:first]) for y in values.T]
        posteriors = [
            Posterior(members, distances, y)
            for members, y in zip(self._members[1], values.T, strict=True)
        ]

        certain = [
            i
            for i, same in enumerate(layers == 0)
            if same.sum() > 1 and not np.ptp(values[same], 0).any()
        ]

        def predict(at: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
            layers = by_layers(at)
            apart = [by_choices(at), layers]
            mean, deviation = stacked([posterior(apart) for posterior in posteriors])
            for i in certain:
                same = layers[:, i] == 0
                mean[same], deviation[same] = values[i], 0.0
            return mean, deviation

        return predict

    def _stage(self, told: int) -> int:
        """From how many of those told the members are learned, a function of their number alone."""
        stage = 2
        while ceil(_GROWTH * stage + 1) <= told:
            stage = ceil(_GROWTH * stage + 1)
        return stage

    def _chosen(self, asked: Sequence[Proposal]) -> Proposal | None:
        from threadpoolctl import threadpool_limits

        for end in self._ends(self._exchanges):
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
        found = map(self._costs.allowed, [*self._ends(self._exchanges), *some])
        values = [cheap.values(costs) for costs in found if costs is not None]
        return np.array(values).reshape(len(values), len(cheap))

    def _best(self, score: Score) -> Architecture | None:
        return self._climbed(score, self._searches, self._exchanges)

    def _load(self, state: Any) -> None:
        super()._load(state)
        self._members, self._spread = (0, []), None
