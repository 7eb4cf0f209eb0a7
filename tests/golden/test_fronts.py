"""Fronts, hypervolume, crowding and knee: worked by hand, and against their definitions."""

import numpy as np
import pytest

from hwnas.core.pareto import crowding, front, fronts, hypervolume, knee, order
from tests.property import brute

# Two objectives to be minimised. A-C are one front, D-E the next, F the last.
POINTS = np.array([[1.0, 5.0], [2.0, 2.0], [5.0, 1.0], [3.0, 4.0], [4.0, 3.0], [6.0, 6.0]])
FREE = np.zeros(len(POINTS))


def as_sets(rows: list[np.ndarray]) -> list[set[int]]:
    return [set(r.tolist()) for r in rows]


def test_fronts_by_hand() -> None:
    assert as_sets(fronts(POINTS, FREE)) == [{0, 1, 2}, {3, 4}, {5}]
    assert front(POINTS, FREE).tolist() == [0, 1, 2]


def test_equal_rows_are_on_one_front() -> None:
    values = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 2.0]])
    assert as_sets(fronts(values, np.zeros(3))) == [{0, 1}, {2}]


def test_infeasible_rows_follow_by_violation() -> None:
    violation = np.array([0.5, 0.0, 0.0, 0.2, 0.2, 0.0])
    assert as_sets(fronts(POINTS, violation)) == [{1, 2}, {5}, {3, 4}, {0}]
    assert front(POINTS, violation).tolist() == [1, 2]
    assert front(POINTS, FREE + 1).tolist() == []
    assert front(np.empty((0, 2)), np.empty(0)).tolist() == []
    assert order(np.empty((0, 2)), np.empty(0)).tolist() == []


def test_hypervolume_by_hand() -> None:
    # Strips under the reference (6, 6): (2-1)(6-5) + (5-2)(6-2) + (6-5)(6-1) = 1 + 12 + 5.
    assert hypervolume(POINTS, np.array([6.0, 6.0])) == pytest.approx(18.0)
    assert hypervolume(POINTS[:1], np.array([6.0, 6.0])) == pytest.approx(5.0)
    assert hypervolume(POINTS, np.array([1.0, 1.0])) == 0.0
    assert hypervolume(np.empty((0, 2)), np.array([1.0, 1.0])) == 0.0
    assert hypervolume(np.array([[-2.0], [-3.0]]), np.array([0.0])) == pytest.approx(3.0)
    cube = np.array([[0.0, 0.0, 0.5], [0.5, 0.0, 0.0]])  # two half cubes that share a quarter
    assert hypervolume(cube, np.ones(3)) == pytest.approx(0.75)


def test_crowding_by_hand() -> None:
    # B: (5 - 1) / 4 in the first objective, (5 - 1) / 4 in the second; their mean.
    assert crowding(POINTS[:3]).tolist() == [np.inf, 1.0, np.inf]


def test_order_is_by_front_then_by_crowding() -> None:
    line = np.array([[0.0, 10.0], [1.0, 9.0], [2.0, 8.0], [9.0, 1.0], [10.0, 0.0], [11.0, 11.0]])
    # Ends first, then what stands most alone: neighbours 8 to 10 and 1 to 10 apart; then the rest.
    assert order(line, np.zeros(6)).tolist() == [0, 4, 2, 3, 1, 5]


def test_knee_by_hand() -> None:
    assert knee(POINTS[:3]) == 1  # scaled: (0, 1), (0.25, 0.25), (1, 0)
    assert knee(np.array([[3.0, 7.0]])) == 0
    assert knee(np.array([[1.0, 7.0], [2.0, 7.0]])) == 0  # an objective without range counts not


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_against_definitions(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    for n in (1, 2, 5, 40):
        values = rng.integers(0, 12, (n, objectives)).astype(float)
        assert as_sets(fronts(values, np.zeros(n))) == [set(f) for f in brute.fronts(values)]
        few = values[:9]
        reference = np.full(objectives, 10.0)
        assert hypervolume(few, reference) == pytest.approx(brute.hypervolume(few, reference))


def test_crowding_against_its_definition() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = rng.random((12, 3))
        rows = fronts(values, np.zeros(12))[0]
        np.testing.assert_allclose(crowding(values[rows]), brute.crowding(values[rows]))
