"""Choosing winners and shortlists."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwnas.core.errors import HwnasError
from hwnas.core.metric import Metric
from hwnas.core.objective import Objective, Objectives
from hwnas.export.select import select, shortlist

ERROR = Metric("error")
LATENCY = Metric("latency_ms", "ms", cheap=True)
FREE = Objectives([Objective(ERROR), Objective(LATENCY)])
LIMITED = Objectives([Objective(ERROR), Objective(LATENCY, limit=5.0)])

CANDIDATES = [
    {"error": 0.50, "latency_ms": 1.0, "params": 10.0},
    {"error": 0.20, "latency_ms": 2.0, "params": 3e6},  # the knee
    {"error": 0.15, "latency_ms": 4.0, "params": 200.0},
    {"error": 0.30, "latency_ms": 3.0, "params": 50.0},  # dominated by the knee
    {"error": 0.01, "latency_ms": 9.0, "params": 900.0},  # over the limit of LIMITED
]

points = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 9)).map(
        lambda p: {"error": p[0] / 6, "latency_ms": float(p[1])}
    ),
    min_size=1,
    max_size=12,
)
grids = st.tuples(st.integers(1, 9), st.integers(1, 3)).flatmap(
    lambda shape: arrays(float, shape, elements=st.integers(0, 8).map(float))
)


def dominates(a, b):
    return all(a[k] <= b[k] for k in b) and a != b


def test_knee():
    assert select(CANDIDATES, LIMITED, "knee").indices == [1]


def test_all_is_the_feasible_front():
    assert select(CANDIDATES, LIMITED, "all").indices == [0, 1, 2]
    assert select(CANDIDATES, FREE, "all").indices == [0, 1, 2, 4]


@pytest.mark.parametrize(
    ("rule", "taken"),
    [
        ("latency_ms<=2", 1),
        ("latency_ms<2", 0),
        ("latency_ms<=5,params<1e6", 2),
        (" latency_ms >= 1 , params <= 50 ", 3),
        ("latency_ms>2.5,latency_ms<3.5", 3),
    ],
)
def test_limits_take_the_best_by_the_first_objective(rule, taken):
    result = select(CANDIDATES, LIMITED, rule)
    assert result.indices == [taken]
    assert result.note == ""


def test_goals_are_signed():
    objectives = Objectives([Objective(Metric("accuracy", goal="max")), Objective(LATENCY)])
    candidates = [{"accuracy": a, "latency_ms": 1.0} for a in (0.5, 0.9, 0.7)]
    for rule in ("knee", "all", "latency_ms<=1"):
        assert select(candidates, objectives, rule).indices == [1]


def test_equal_first_objective_is_decided_by_the_second():
    candidates = [{"error": 0.1, "latency_ms": 3.0}, {"error": 0.1, "latency_ms": 2.0}]
    assert select(candidates, FREE, "latency_ms<=3").indices == [1]


@pytest.mark.parametrize("rule", ["knee", "all", "error<1"])
def test_nothing_feasible_takes_the_nearest_and_says_so(rule):
    candidates = [{"error": 0.1, "latency_ms": 9.0}, {"error": 0.5, "latency_ms": 6.0}]
    result = select(candidates, LIMITED, rule)
    assert result.indices == [1]
    assert "latency_ms 6 (limit 5)" in result.note


def test_candidates_without_figures_are_passed_over():
    broken = [{"error": float("nan"), "latency_ms": 0.0}, {"latency_ms": 0.0}]
    assert select([*broken, *CANDIDATES], LIMITED, "knee").indices == [3]
    for candidates in ([], broken):
        with pytest.raises(HwnasError, match=r"export\.select: none of"):
            select(candidates, LIMITED, "knee")


def test_a_rule_that_nothing_meets_shows_the_range():
    with pytest.raises(HwnasError, match=r"export\.select.*latency_ms is 1 to 4") as caught:
        select(CANDIDATES, LIMITED, "latency_ms<=0.5")
    assert "knee, all" in caught.value.hint


def test_an_unknown_metric_shows_the_known():
    with pytest.raises(HwnasError, match=r"export\.select.*'energy'") as caught:
        select(CANDIDATES, LIMITED, "latency_ms<=5,energy<1")
    assert caught.value.hint == "The metrics are error, latency_ms, params."


@pytest.mark.parametrize(
    "rule", ["", "best", "latency_ms", "latency_ms=5", "latency_ms<=fast", "error<nan", "error<1,"]
)
def test_an_unreadable_rule(rule):
    with pytest.raises(HwnasError, match=r"export\.select.*is no rule") as caught:
        select(CANDIDATES, LIMITED, rule)
    assert "latency_ms<=5" in caught.value.hint


@given(points, st.sampled_from(["knee", "all", "latency_ms<=9"]))
def test_what_is_taken_is_feasible_and_not_dominated(candidates, rule):
    result = select(candidates, LIMITED, rule)
    feasible = [c for c in candidates if c["latency_ms"] <= 5]
    assert (result.note == "") == bool(feasible)
    if feasible:
        optimal = {
            i
            for i, c in enumerate(candidates)
            if c in feasible and not any(dominates(other, c) for other in feasible)
        }
        assert set(result.indices) <= optimal
        assert rule != "all" or set(result.indices) == optimal
        assert rule == "all" or len(result.indices) == 1
    else:
        [i] = result.indices
        assert candidates[i]["latency_ms"] == min(c["latency_ms"] for c in candidates)


@given(points, st.integers(0, 9))
def test_a_limit_is_met_by_the_best_or_is_an_error(candidates, bound):
    met = [c for c in candidates if c["latency_ms"] <= bound]
    if met:
        [i] = select(candidates, FREE, f"latency_ms<={bound}").indices
        assert candidates[i] in met
        assert candidates[i]["error"] == min(c["error"] for c in met)
    else:
        with pytest.raises(HwnasError, match=r"export\.select"):
            select(candidates, FREE, f"latency_ms<={bound}")


@given(grids, st.integers(1, 12))
def test_shortlist_is_distinct_rows_knee_first(values, n):
    rows = shortlist(values, n)
    assert len(rows) == len(set(rows)) == min(n, len(values))
    assert set(rows) <= set(range(len(values)))
    assert rows[: n - 1] == shortlist(values, n - 1) if n > 1 else rows == shortlist(values, 1)
    objectives = Objectives([Objective(Metric(str(i))) for i in range(values.shape[1])])
    everything = [{str(i): v for i, v in enumerate(row)} for row in values]
    if len(select(everything, objectives, "all").indices) == len(values):
        assert rows[0] == select(everything, objectives, "knee").indices[0]


@given(grids, st.integers(1, 4))
def test_shortlist_ignores_units(values, n):
    scales = np.array([1024.0, 0.25, 8.0])[: values.shape[1]]
    assert shortlist(values * scales, n) == shortlist(values, n)


@given(grids, st.integers(1, 4))
def test_shortlist_covers_within_twice_the_optimum(values, n):
    span = np.ptp(values, axis=0)
    scaled = values / np.where(span > 0, span, 1)
    apart = np.linalg.norm(scaled[:, None] - scaled[None], axis=2)

    def radius(rows):
        return apart[list(rows)].min(axis=0).max()

    optimum = min(radius(rows) for rows in combinations(range(len(values)), min(n, len(values))))
    assert radius(shortlist(values, n)) <= 2 * optimum + 1e-9


def test_shortlist_of_nothing_and_too_few():
    assert shortlist(np.empty((0, 2)), 3) == []
    with pytest.raises(HwnasError, match=r"estimate\.shortlist"):
        shortlist(np.zeros((2, 2)), 0)
