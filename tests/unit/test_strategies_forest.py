"""The forest is SMAC's."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from hwnas.core import Architecture, HwnasError, TensorType
from hwnas.search.bayes.forest import Forest, _features
from hwnas.search.random import Random
from hwnas.space.chain import Chain
from hwnas.space.encoding import Encoding
from hwnas.space.moves import choices
from hwnas.testing.play import Play
from tests.unit import searching
from tests.unit.searching import CELL, architectures, volume

CHAIN = Chain(TensorType((1, 8, 8)), 3)


context = partial(searching.context, evaluations=40, objectives=2)


def test_numbers_are_features_options_have_one_each_and_absence_is_a_value() -> None:
    encoding = Encoding(CHAIN)
    found = architectures(CHAIN)
    encoding(found)
    rows, columns = encoding(found), encoding.columns
    features = _features(rows, columns)
    widths = [1 if c.choice.ordered else c.size for c in columns]
    parts = np.split(features, np.cumsum(widths), axis=1)
    assert np.isnan(rows).any()
    for value, column, part in zip(rows.T, columns, parts[:-1], strict=True):
        for v, p in zip(value, part, strict=True):
            if np.isnan(v):
                assert (p == -1).all()
            elif column.choice.ordered:
                assert p == [v]
            else:
                assert p.tolist() == [float(i == v) for i in range(column.size)]


def test_options_are_counted_over_the_choices_that_offer_them() -> None:
    encoding = Encoding(CELL)
    found = architectures(CELL)
    encoding(found)
    options = encoding.columns[0].choice.options
    expected = [[list(a.values()).count(option) for option in options] for a in found]
    features = _features(encoding(found), encoding.columns)
    assert features.shape == (30, 6 * 5 + 5)
    assert features[:, 30:].tolist() == expected


def test_the_variance_is_that_of_all_leaves_together() -> None:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.ensemble._forest import _generate_sample_indices

    strategy = Forest(context(), trees=7)
    found, new = architectures(CELL, 40), architectures(CELL, 60)[40:]
    y = np.random.default_rng(1).standard_normal((40, 2)).round()  # ties make leaves of several
    mean, deviation = strategy._fit(found, y, np.random.default_rng(3))(new)
    encoding = Encoding(CELL)
    x, at = (_features(encoding(a), encoding.columns) for a in (found, new))
    rng = np.random.default_rng(3)
    for j in range(2):
        forest = RandomForestRegressor(7, random_state=int(rng.integers(2**32))).fit(x, y[:, j])
        assert mean[:, j] == pytest.approx(forest.predict(at))
        for i, point in enumerate(at):
            first, second = [], []
            for tree in forest.estimators_:
                sample = _generate_sample_indices(tree.random_state, 40, 40, None)
                same = tree.apply(x[sample]) == tree.apply(point[None])
                first.append(y[sample, j][same].mean())
                second.append((y[sample, j][same] ** 2).mean())
            variance = np.mean(second) - np.mean(first) ** 2
            assert deviation[i, j] ** 2 == pytest.approx(variance, abs=1e-9)


def begun(strategy: Forest, told: int = 10) -> Forest:
    Play(strategy).run(told)
    return strategy


@pytest.mark.parametrize("space", [CELL, CHAIN], ids=["cell", "chain"])
def test_the_local_search_ends_at_an_optimum(space: Any) -> None:
    """Of a sum over choices there is one only in the cell; in the chain none is better nearby."""
    from hwnas.space.moves import neighbours

    strategy = begun(Forest(context(space=space), candidates=1, neighbours=500, random=0.0))

    def worth(architecture: Architecture) -> float:
        asked = choices(space, architecture)
        return float(np.mean([np.sin(1 + 7 * c.values.index(architecture[c.name])) for c in asked]))

    best = strategy._best(lambda found: np.array([worth(a) for a in found]))
    assert best is not None
    assert worth(best) >= max(worth(a) for a in neighbours(space, best))
    if space is CELL:
        assert worth(best) == pytest.approx(max(np.sin(1 + 7 * i) for i in range(5)))


def test_what_was_asked_for_is_passed_over() -> None:
    strategy = begun(Forest(context(), candidates=1, random=0.0))
    goal = architectures(CELL, 1)[0]

    def distance(architecture: Architecture) -> int:
        return sum(architecture[name] != goal[name] for name in goal)

    found = []
    for _ in range(6):
        best = strategy._best(lambda many: np.array([-distance(a) for a in many]))
        assert best is not None
        strategy._seen.add(best)
        found.append(best)
    assert len(set(found)) == 6
    assert [distance(a) for a in found] == [0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(("random", "low", "high"), [(0.0, 0, 0), (0.3, 15, 45), (1.0, 100, 100)])
def test_random_ones_are_interleaved(random: float, low: int, high: int) -> None:
    strategy = begun(Forest(context(), candidates=1, searches=1, random=random))
    judged = []

    def score(found: Any) -> np.ndarray:
        judged.append(len(found))
        return np.zeros(len(found))

    drawn = 0
    for _ in range(100):
        judged.clear()
        strategy._best(score)
        drawn += not judged
    assert low <= drawn <= high


@pytest.mark.slow
def test_better_than_random_on_a_toy() -> None:
    ours = [volume(Forest(context(seed=seed), candidates=100, trees=20)) for seed in range(3)]
    theirs = [volume(Random(context(seed=seed))) for seed in range(3)]
    assert all(a > b for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("startup", 0),
        ("candidates", 0),
        ("trees", 0),
        ("searches", 0),
        ("neighbours", 0),
        ("random", 1.1),
    ],
)
def test_mistakes(key: str, value: float) -> None:
    with pytest.raises(HwnasError, match=rf"search\.{key}"):
        Forest(context(), **{key: value})  # type: ignore[arg-type]
