"""Prices, ranks and tests of a comparison."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.core import Architecture, Mixture, Proposal
from hwnas.pipeline.price import Price
from hwnas.pipeline.ranking import holm, ranking, sampled

A, B = Architecture({"x": 1}), Architecture({"x": 2})


def test_a_full_training_costs_one_and_again_next_to_nothing() -> None:
    price = Price(9)
    assert price(Proposal(0, A, 9)) == 1
    assert price(Proposal(1, A, 9)) == 0.01
    assert price(Proposal(2, B, 9)) == 1


def test_a_promotion_costs_the_rest() -> None:
    price = Price(9)
    assert price(Proposal(0, A, 1)) == pytest.approx(1 / 9)
    assert price(Proposal(1, A, 2, parent=0)) == pytest.approx(2 / 9)
    assert price(Proposal(2, A, 6, parent=1)) == pytest.approx(6 / 9)
    assert price(Proposal(3, A, 9)) == 0.01  # known in full by now
    assert price(Proposal(4, A, 3, parent=3)) == pytest.approx(3 / 9)  # beyond


def test_the_weights_of_another_network_are_no_discount() -> None:
    price = Price(9)
    price(Proposal(0, A, 9))
    assert price(Proposal(1, B, 9, parent=0)) == 1
    assert price(Proposal(2, B, 3, parent=1)) == pytest.approx(3 / 9)


def test_scores_of_a_supernet_cost_one() -> None:
    price = Price(9)
    assert price(Proposal(0, A, 0)) == 1
    assert price(Proposal(1, Mixture({"x": np.array([0.5, 0.5])}), 1)) == 1


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(1, 9)), max_size=30))
def test_no_more_is_paid_than_what_is_trained(proposals: list[tuple[Architecture, int]]) -> None:
    price = Price(9)
    paid = sum(price(Proposal(i, a, train)) for i, (a, train) in enumerate(proposals))
    most = sum(max([t for b, t in proposals if b == a], default=0) for a in (A, B)) / 9
    assert most - 1e-9 <= paid <= most + 0.01 * len(proposals) + 1e-9


def test_a_curve_is_a_staircase() -> None:
    curve = [(0.5, 1.0), (2.0, 3.0), (3.2, 4.0)]
    np.testing.assert_array_equal(sampled(curve, 5), [1, 3, 3, 4, 4])
    np.testing.assert_array_equal(sampled([], 2), [0, 0])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_between_the_p_and_bonferroni(p: list[float]) -> None:
    for raw, corrected in zip(p, holm(p), strict=True):
        assert raw <= corrected <= min(1.0, raw * len(p)) + 1e-12


def test_a_clear_winner_is_found_and_chance_is_not() -> None:
    rng = np.random.default_rng(0)
    base = np.sort(rng.random((20, 3)), axis=1)
    rows = ranking({"base": base, "same": np.roll(base, 1, axis=0), "better": base + 1}, "base")
    assert rows[0]["name"] == "better"
    found = {row["name"]: row for row in rows}
    assert found["base"]["p"] is None
    assert found["better"]["p"] < 1e-6
    assert found["same"]["p"] > 0.3
    assert found["better"]["rank"] == 1.0
    assert found["same"]["rank"] + found["base"]["rank"] == 5.0
    assert found["base"]["mean"] == pytest.approx(base.mean(axis=0).tolist())


def test_strategies_that_all_find_the_best_do_not_differ() -> None:
    ones = np.ones((4, 2))
    assert {row["p"] for row in ranking({"base": ones, "other": ones}, "base")} == {None, 1.0}
