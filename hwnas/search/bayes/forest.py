"""Bayesian optimisation with random forests."""

from collections.abc import Hashable, Sequence

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.search._candidates import Score
from hwnas.search._guess import Predict
from hwnas.search._modelled import Modelled
from hwnas.search._options import at_least, within
from hwnas.space.encoding import Column, Encoding
from hwnas.space.moves import sample


class Forest(Modelled):
    """Asks for the largest expected improvement of the hypervolume under random forests: SMAC.

    A forest for each expensive objective sees the choices and, other than in SMAC, how often each
    option is taken by those that offer the same. What it predicts has the mean of its trees, and
    the variance by the law of total variance, of the trees' means and inside their leaves (Hutter
    et al. 2014, Algorithm runtime prediction, section 4.3.2).

    Candidates are ``candidates`` random networks and all that ``searches`` local searches meet:
    half of them begin on the front that was told, the others at the largest improvement so far, and
    they go to the best network that differs in one choice while there is a better one (Hutter et
    al. 2011, section 4.3), or to the best of ``neighbours`` drawn where there are more. With the
    chance ``random`` a network is drawn uniformly instead, whatever the forest says, as in SMAC3.
    """

    paper = (
        "Hutter et al. 2011, Sequential model-based optimization for general algorithm"
        " configuration; Lindauer et al. 2022, SMAC3, arXiv:2109.09831"
    )

    def __init__(
        self,
        context: Context,
        *,
        startup: int = 10,
        candidates: int = 500,
        trees: int = 50,
        searches: int = 5,
        neighbours: int = 50,
        random: float = 0.2,
    ) -> None:
        super().__init__(context, startup, candidates)
        at_least(1, trees=trees, searches=searches, neighbours=neighbours)
        within(0, 1, random=random)
        self._trees = trees
        self._searches = searches
        self._exchanges = neighbours
        self._interleaved = random

    def _fit(
        self, architectures: Sequence[Architecture], values: np.ndarray, rng: np.random.Generator
    ) -> Predict:
        from sklearn.ensemble import RandomForestRegressor

        encoding = Encoding(self.context.space)  # a new one: columns are in the order they are told
        rows = encoding(architectures)
        columns = encoding.columns
        x = _features(rows, columns)
        forests = []
        for y in values.T:
            forest = RandomForestRegressor(self._trees, random_state=int(rng.integers(2**32)))
            forests.append(forest.fit(x, y))

        def predict(at: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
            points = _features(encoding(at)[:, : len(columns)], columns)
            mean, deviation = np.empty((2, len(at), len(forests)))
            for j, forest in enumerate(forests):
                trees = [tree.tree_ for tree in forest.estimators_]
                leaves = [tree.apply(points) for tree in trees]
                of = list(zip(trees, leaves, strict=True))
                means = np.stack([tree.value[leaf, 0, 0] for tree, leaf in of])
                inside = np.stack([tree.impurity[leaf].clip(0) for tree, leaf in of])  # rounding
                mean[:, j] = means.mean(axis=0)
                deviation[:, j] = np.sqrt(means.var(axis=0) + inside.mean(axis=0))
            return mean, deviation

        return predict

    def _best(self, score: Score) -> Architecture | None:
        """The best new one of random networks and of all that local searches meet."""
        if self.context.rng.random() < self._interleaved and (new := self._random()) is not None:
            return new
        told = [t.architecture for t in self._told]
        drawn = [sample(self.context.space, self.context.rng) for _ in range(self._candidates)]
        others = [*told, *self._ends(self._searches, self._exchanges), *drawn]
        found = self._candidate.climbed(
            self._front(), score, others, self._searches, self._exchanges, 1
        )
        return found[0] if found else None


def _features(rows: np.ndarray, columns: Sequence[Column]) -> np.ndarray:
    """Numbers as their index, of other choices a column an option; -1 where one was not asked.

    Then, where several choices have the same options, how many of them took each.
    """
    parts = []
    counts: dict[Hashable, list[np.ndarray]] = {}
    for value, column in zip(rows.T, columns, strict=True):
        taken = value[:, None] == np.arange(column.size)
        absent = np.isnan(value)[:, None]
        own = np.nan_to_num(value, nan=-1.0)[:, None]
        parts.append(own if column.choice.ordered else np.where(absent, -1.0, taken))
        counts.setdefault(column.kind, []).append(taken)
    parts += [np.sum(same, axis=0) for same in counts.values() if len(same) > 1]
    return np.concatenate(parts, axis=1).astype(np.float32)
