"""Architectures as numbers."""

import numpy as np
import pytest

from hwnas.core import Architecture, Space, TensorType
from hwnas.core.choice import Choice
from hwnas.core.space import Pick
from hwnas.graph.classify import classify
from hwnas.graph.graph import Graph
from hwnas.space.chain import Chain
from hwnas.space.encoding import Encoding, one_hot
from hwnas.space.moves import choices, sample
from hwnas.space.nas_bench_101 import NasBench101
from hwnas.space.nas_bench_201 import NasBench201

CELL = NasBench201(TensorType((1, 4, 4)), 3, cells=1, channels=2)
CHAIN = Chain(TensorType((1, 8, 8)), 3)


class Growing(Space):
    """``b`` is only asked where ``a`` is "yes", and has other options where ``c`` is 2."""

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        x = g.input
        c = pick("c", [1, 2])
        if pick("a", ["no", "yes"]) == "yes":
            pick("b", [3, 5, 9] if c == 1 else [3, 5])
        pick.inputs("d", {"p": x, "q": x, "r": x}, 2)
        return g.finish(classify(x, self.outputs))


SPACE = Growing(TensorType((1, 4, 4)), 3)


def net(**values: object) -> Architecture:
    return Architecture(values)  # type: ignore[arg-type]


def test_a_column_a_choice_and_nothing_where_it_is_not_asked() -> None:
    encoding = Encoding(SPACE)
    first = encoding([net(c=1, a="no", d=("p", "r"))])
    assert first.tolist() == [[0, 0, 1, 0, 1]]
    rows = encoding(
        [
            net(c=1, a="yes", b=9, d=("p", "q")),
            net(c=2, a="yes", b=5, d=("q", "r")),
            net(c=1, a="no", d=("p", "r")),
        ]
    )
    none = np.nan
    expected = [[0, 1, 1, 1, 0, 2, none], [1, 1, 0, 1, 1, none, 1], [0, 0, 1, 0, 1, none, none]]
    assert np.array_equal(rows, expected, equal_nan=True)
    columns = encoding.columns
    assert [c.choice.name for c in columns] == ["c", "a", "d", "d", "d", "b", "b"]
    assert [c.option for c in columns] == [None, None, "p", "q", "r", None, None]
    assert [c.size for c in columns] == [2, 2, 2, 2, 2, 3, 2]
    assert [c.choice.ordered for c in columns] == [True, False, False, False, False, True, True]
    hot = one_hot(encoding([net(c=1, a="no", d=("p", "r"))]), columns)
    expected = [1, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1]
    assert hot.tolist() == [expected]


@pytest.mark.parametrize(
    ("options", "ordered"),
    [
        ((1, 2, 4), True),
        ((0.0, 0.5, 1), True),
        ((4, 2, 1), False),
        ((False, True), False),
        (("1", "2"), False),
        ((None, 1, 2), False),
        ((1, "2"), False),
    ],
)
def test_ascending_numbers_are_ordered(options: tuple, ordered: bool) -> None:
    assert Choice("x", options).ordered == ordered


@pytest.mark.parametrize("space", [CELL, CHAIN, NasBench101(TensorType((1, 4, 4)), 3), SPACE])
def test_different_architectures_have_different_rows(space: Space) -> None:
    rng = np.random.default_rng(0)
    found = list(dict.fromkeys(sample(space, rng) for _ in range(60)))
    encoding = Encoding(space)
    encoding(found)
    rows = encoding(found)
    assert len(np.unique(np.nan_to_num(rows, nan=-1.0), axis=0)) == len(found)
    hot = one_hot(rows, encoding.columns)
    assert hot.shape == (len(found), sum(c.size + 1 for c in encoding.columns))
    assert (hot.sum(axis=1) == len(encoding.columns)).all()
    for architecture, row in zip(found, rows, strict=True):
        asked = choices(space, architecture)
        assert (~np.isnan(row)).sum() == sum(1 if c.k is None else len(c.options) for c in asked)
