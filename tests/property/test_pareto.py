"""Properties of fronts, hypervolume and preferences."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwnas.core.metric import Metric
from hwnas.core.objective import Objective, Objectives
from hwnas.core.pareto import front, fronts, hypervolume, knee, order
from hwnas.core.preference import Preference
from tests.property import brute

# Few distinct values, so that ties and dominance are frequent.
LEVELS = st.integers(-4, 6).map(float)


@st.composite
def tables(draw: st.DrawFn, most: int = 12) -> np.ndarray:
    shape = draw(st.integers(1, most)), draw(st.integers(1, 4))
    return draw(arrays(float, shape, elements=LEVELS))


@st.composite
def constrained(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    values = draw(tables())
    violation = draw(arrays(float, len(values), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0])))
    return values, violation


@given(constrained())
def test_the_front_is_not_dominated_and_complete(table: tuple[np.ndarray, np.ndarray]) -> None:
    values, violation = table
    feasible = np.flatnonzero(violation <= 0)
    expected = [
        i for i in feasible if not any(brute.dominates(values[j], values[i]) for j in feasible)
    ]
    assert front(values, violation).tolist() == expected


@given(constrained())
def test_feasible_before_infeasible_and_by_violation(table: tuple[np.ndarray, np.ndarray]) -> None:
    values, violation = table
    ranked = order(values, violation)
    assert sorted(ranked.tolist()) == list(range(len(values)))
    assert (np.diff(violation[ranked]) >= 0).all()
    peeled = [set(f.tolist()) for f in fronts(values, violation)]
    assert sum(map(len, peeled)) == len(values)


@given(tables(4))
def test_hypervolume_is_inclusion_and_exclusion(values: np.ndarray) -> None:
    reference = np.full(values.shape[1], 5.0)
    got = hypervolume(values, reference)
    assert abs(got - brute.hypervolume(values, reference)) < 1e-6 * max(1.0, got)


@given(tables(), st.data())
def test_hypervolume_is_monotone(values: np.ndarray, data: st.DataObject) -> None:
    reference = np.full(values.shape[1], 5.0)
    some = data.draw(st.integers(0, len(values)))
    least = hypervolume(values[:some], reference)
    more = hypervolume(values, reference)
    assert least <= more + 1e-9
    assert more == hypervolume(values[front(values, np.zeros(len(values)))], reference)
    assert more <= hypervolume(values - 1.0, reference) + 1e-9


@given(tables())
def test_the_knee_is_nearest_to_the_ideal(values: np.ndarray) -> None:
    low, span = values.min(axis=0), np.ptp(values, axis=0)
    scaled = (values - low) / np.where(span > 0, span, 1.0)
    distance = np.linalg.norm(scaled, axis=1)
    assert distance[knee(values)] == distance.min()
    assert not any(brute.dominates(row, values[knee(values)]) for row in values)


def objectives(limit: float | None, count: int = 2) -> Objectives:
    goals = ("min", "max", "min")
    metrics = [Metric(f"m{i}", goal=goals[i]) for i in range(count)]
    return Objectives([Objective(m, limit if i == 0 else None) for i, m in enumerate(metrics)])


NUMBERS = st.floats(-100, 100).map(lambda x: round(x, 3))
METRICS = st.fixed_dictionaries({f"m{i}": NUMBERS for i in range(3)})


@given(st.lists(METRICS, min_size=2, max_size=8), st.integers(0, 9))
def test_preference_is_monotone(seen: list[dict[str, float]], seed: int) -> None:
    goals = objectives(None, 3)
    preference = Preference(goals)
    for metrics in seen:
        preference.observe(metrics)
    vector = preference.draw(np.random.default_rng(seed))
    assert vector.shape == (3,)
    assert abs(vector.sum() - 1) < 1e-9
    assert (vector >= 0).all()
    for a in seen:
        value = preference.value(a, vector)
        assert -1e-9 <= value <= 1.05 + 1e-9
        for b in seen:
            if brute.dominates(goals.values(a), goals.values(b)):
                assert value <= preference.value(b, vector) + 1e-9


@given(st.lists(METRICS, min_size=1, max_size=8), NUMBERS)
def test_infeasible_comes_last_by_violation(seen: list[dict[str, float]], limit: float) -> None:
    goals = objectives(limit, 3)
    preference = Preference(goals)
    for metrics in seen:
        preference.observe(metrics)
    vector = np.full(3, 1 / 3)
    ranked = sorted(seen, key=lambda m: preference.value(m, vector))
    violations = [goals.violation(m) for m in ranked]
    assert violations == sorted(violations)
    assert [v > 0 for v in violations] == sorted(m["m0"] > limit for m in seen)


@given(st.lists(METRICS, min_size=2, max_size=8))
def test_one_objective_is_ordered_as_itself(seen: list[dict[str, float]]) -> None:
    assume(len({m["m0"] for m in seen}) > 1)
    preference = Preference(objectives(None, 1))
    for metrics in seen:
        preference.observe(metrics)
    by_value = sorted(seen, key=lambda m: preference.value(m, np.ones(1)))
    assert [m["m0"] for m in by_value] == sorted(m["m0"] for m in seen)
