"""Bayesian optimisation with an optimal transport distance between networks."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.search._candidates import Score
from hwnas.search._gaussian import fit
from hwnas.search._graphs import network
from hwnas.search._guess import Predict, stacked
from hwnas.search._modelled import Modelled
from hwnas.search._options import at_least
from hwnas.search._otmann import Distances
from hwnas.space.moves import morph

_STRUCTURE = (0.1, 0.2, 0.4, 0.8)  # weights of a layer's place next to what it is
_STEPS = (0.5, 0.25, 0.125, 0.075, 0.05)  # chances of one change, of two, and so on
_TEMPERATURE = 2.0  # of the choice of parents, in standard deviations of what they are worth
_SCALES = np.log([0.01, 100.0])
_RATES = np.log([1e-3, 10.0])  # of decay with the distance, over one of all pairs' mean distance


class NASBOT(Modelled):
    """A Gaussian process on how much work it is to transport one network's layers to another.

    The OTMANN distance d (section 3; :class:`~hwnas.search._otmann.Distances`) has four weights of
    structure. The covariance is ``a exp(-sum b_i d_i) + a' exp(-sum b'_i d'_i^2)``, where d' is d
    over the mass of both networks; a, b, a', b' and the noise maximise the marginal likelihood.

    The acquisition is maximised by an evolutionary algorithm (section 4): the pool is what was
    told; of it ``mutations`` parents are drawn, those of high acquisition more often, each is
    changed one to five times, and the children join the pool, until ``candidates`` were looked at.
    (The reference implementation looks at 50 to 500, more as the search goes on.) The paper begins
    with ten networks of its own, here ``startup`` random ones.
    """

    paper = "Kandasamy et al. 2018, NASBOT, arXiv:1802.07191"

    def __init__(
        self,
        context: Context,
        *,
        startup: int = 10,
        candidates: int = 50,
        mutations: int = 10,
    ) -> None:
        super().__init__(context, startup, candidates)
        at_least(1, mutations=mutations)
        self._mutations = mutations
        self._distances = Distances(_STRUCTURE)
        self._number = cache(
            lambda architecture: self._distances.number(network(context.space, architecture))
        )

    def _fit(
        self, architectures: Sequence[Architecture], values: np.ndarray, rng: np.random.Generator
    ) -> Predict:
        known = [self._number(a) for a in architectures]
        raw, normed = self._pairs(known, known)
        n = len(known)
        means = [np.maximum(d.sum(axis=(1, 2)) / (n * (n - 1)), 1e-12) for d in (raw, normed**2)]
        rates = 1 / np.concatenate(means)  # so that the parameters have no unit

        def covariance(
            parameters: np.ndarray, raw: np.ndarray, normed: np.ndarray
        ) -> tuple[np.ndarray, np.ndarray]:
            decay = np.exp(parameters[2:]) * rates
            parts = []
            for scale, d, b in zip(
                parameters[:2], (raw, normed**2), np.split(decay, 2), strict=True
            ):
                parts.append((np.exp(scale - np.tensordot(b, d, 1)), b[:, None, None] * d))
            matrices = [matrix for matrix, _ in parts]
            slopes = [-matrix * d for matrix, d in parts]
            return matrices[0] + matrices[1], np.concatenate([np.array(matrices), *slopes])

        bounds = np.array([_SCALES] * 2 + [_RATES] * len(rates))
        begin = np.log([0.5] * 2 + [1 / len(_STRUCTURE)] * len(rates))
        processes = [fit(lambda p: covariance(p, raw, normed), y, begin, bounds) for y in values.T]

        def predict(new: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
            pairs = self._pairs([self._number(a) for a in new], known)
            found = [
                process(
                    covariance(process.parameters, *pairs)[0],
                    np.full(len(new), np.exp(process.parameters[:2]).sum()),
                )
                for process in processes
            ]
            return stacked(found)

        return predict

    def _pairs(self, a: Sequence[int], b: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Distances and those over the masses, shape ``[n_weights, n_a, n_b]`` each."""
        raw = self._distances(a, b)
        masses = np.add.outer(self._distances.masses(a), self._distances.masses(b))
        return raw, raw / masses

    def _best(self, score: Score) -> Architecture | None:
        rng = self.context.rng
        pool = [told.architecture for told in self._told]
        told = len(pool)
        worth = score(pool)
        while len(pool) - told < self._candidates:
            chances = self._chances(worth)

            def child(pool: Sequence[Architecture] = pool, p: np.ndarray = chances) -> Architecture:
                return self._changed(pool[int(rng.choice(len(pool), p=p))])

            left = self._candidates - (len(pool) - told)
            children = self._candidate.fresh(child, min(self._mutations, left), set(pool))
            if not children:
                break
            pool, worth = [*pool, *children], np.append(worth, score(children))
        if len(pool) == told:
            return self._random()
        worth = worth[told:]
        return pool[told + int(np.lexsort((rng.random(len(worth)), -worth))[0])]

    def _changed(self, parent: Architecture) -> Architecture:
        space, rng = self.context.space, self.context.rng
        for _ in range(1 + int(rng.choice(len(_STEPS), p=_STEPS))):
            parent = morph(space, parent, rng)
        return parent

    def _chances(self, worth: np.ndarray) -> np.ndarray:
        """Of networks to be parents, shape ``[n]``."""
        finite = np.isfinite(worth)
        if not finite.any():
            return np.full(len(worth), 1 / len(worth))
        worth = np.where(finite, worth, worth[finite].min())
        chances = np.exp((worth - worth.max()) / (_TEMPERATURE * worth.std() or 1.0))
        return np.asarray(chances / chances.sum())
