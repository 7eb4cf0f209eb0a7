"""Edit distances, their embedding, and the tree search of Auto-Keras."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from hwnas.core import Architecture, HwnasError
from hwnas.graph.graph import Graph
from hwnas.graph.ops.concat import Concat
from hwnas.graph.ops.conv import Conv
from hwnas.search._edit_distance import Embedding, Layers, distances
from hwnas.search._graphs import Network, network, of
from hwnas.search.bayes.auto_keras import AutoKeras, _accepted
from hwnas.space.moves import choices, sample
from hwnas.testing.play import Play
from tests.unit import searching
from tests.unit.searching import CELL, FAKE
from tests.unit.test_strategies_nasbot import chain
from tests.unit.test_strategies_wl import IMAGE, diamond

context = partial(searching.context, evaluations=40, objectives=2, units=1)


def between(a: Network, b: Network, balance: float = 0.0) -> float:
    return float(distances([(Layers.of(a), Layers.of(b))], balance)[0])


def widths(*filters: int) -> Network:
    g = Graph(IMAGE)
    x = g.input
    for i, n in enumerate(filters):
        x = g.add(str(i), Conv(n, 3), x)
    return of(g.finish(g.add("last", Conv(10, 3), x)))


def skipped(*ends: tuple[int, int]) -> Network:
    """Six convolutions, each reading the one before and what skips to it."""
    g = Graph(IMAGE)
    made = [g.input]
    for i in range(1, 7):
        read = [made[-1], *(made[u] for u, v in ends if v == i)]
        x = g.add(f"join{i}", Concat(), *read) if len(read) > 1 else read[0]
        made.append(g.add(str(i), Conv(i, 3), x))
    return of(g.finish(made[-1]))


def test_layers_by_hand() -> None:
    assert between(widths(4, 8), widths(4, 8)) == 0
    # One of four sizes differs: width, not kernel, stride or times.
    assert between(widths(4, 8), widths(4, 6)) == pytest.approx((1 - 6 / 8) / 4)
    assert between(widths(4, 8), widths(4, 5, 8)) == 1  # one layer more
    assert between(chain(3, 1), chain(3, 0)) == 1  # a pool for a convolution
    assert between(chain(3, 5), chain(1, 5)) == pytest.approx((2 / 3) / 4)
    assert between(chain(1, 3, 3, 3), chain(1, 3, 3)) == pytest.approx((1 / 3) / 4)  # repeated


def test_skips_by_hand() -> None:
    assert Layers.of(skipped((1, 3), (2, 6))).skips.tolist() == [[1, 2], [2, 4]]
    plain, one, two = skipped(), skipped((1, 3)), skipped((2, 6), (1, 3))
    assert between(plain, one, 0.5) == 0.5
    assert between(plain, two, 0.5) == 1.0
    # The pair that is alike is matched: (1, 2) with (1, 3); (2, 4) is left over.
    assert between(skipped((1, 4)), two, 1.0) == pytest.approx(1 + 1 / (1 + 3))
    assert between(skipped((1, 5)), skipped((3, 5)), 1.0) == pytest.approx((2 + 2) / (3 + 4))


def test_the_order_in_which_layers_are_matched_is_the_best_one() -> None:
    """Against the recursion as it is written, layer by layer."""
    rng = np.random.default_rng(0)

    def recursion(a: list[int], b: list[int]) -> float:
        if not a or not b:
            return len(a) + len(b)
        apart = abs(a[-1] - b[-1]) / max(a[-1], b[-1]) / 4
        shorter = recursion(a[:-1], b), recursion(a, b[:-1])
        return min(min(shorter) + 1, recursion(a[:-1], b[:-1]) + apart)

    for _ in range(10):
        a, b = (rng.permutation(np.arange(1, 9))[: rng.integers(1, 5)].tolist() for _ in "ab")
        assert between(widths(*a), widths(*b)) == pytest.approx(recursion(a, b))


def test_many_at_once_are_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    some = [Layers.of(network(CELL, sample(CELL, rng))) for _ in range(12)]
    matrix = np.array([distances([(a, b) for b in some], 0.1) for a in some])
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    single = [[distances([(a, b)], 0.1)[0] for b in some] for a in some]
    np.testing.assert_allclose(matrix, single)
    same = [[a.key == b.key for b in some] for a in some]
    np.testing.assert_array_equal(matrix == 0, same)


def test_the_same_network_written_otherwise_is_at_distance_0() -> None:
    for other in (diamond(swapped=True), diamond(idle=True), diamond(swapped=True, idle=True)):
        assert between(diamond(), other, 1.0) == 0
        assert Layers.of(diamond()).key == Layers.of(other).key


def test_the_embedding_makes_a_valid_kernel_and_lets_no_distance_grow() -> None:
    rng = np.random.default_rng(0)
    some = [Layers.of(network(CELL, sample(CELL, rng))) for _ in range(30)]
    apart = np.array([distances([(a, b) for b in some], 0.1) for a in some])
    known = apart[:, :20]  # the others are embedded by their distances to these
    points = Embedding(20, rng)(known)
    embedded = np.linalg.norm(points[:, None] - points, axis=2)
    assert (embedded <= apart + 1e-9).all()
    assert np.linalg.eigvalsh(np.exp(-(embedded**2))).min() > -1e-9
    upper = np.triu_indices(30, 1)
    assert np.corrcoef(embedded[upper], apart[upper])[0, 1] > 0.5


def test_the_probability_of_annealing() -> None:
    assert _accepted(0.3, 0.5, 0.1) == 1  # better
    assert _accepted(0.3, np.inf, 1.0) == 1  # nothing met yet
    assert _accepted(0.7, 0.5, 0.1) == pytest.approx(np.exp(-2))
    assert _accepted(np.inf, 0.5, 1.0) == 0


def begun(objectives: int = 1, children: int = 4) -> AutoKeras:
    strategy = AutoKeras(context(objectives=objectives), startup=6, children=children)
    Play(strategy).run(6)
    return strategy


def test_the_search_asks_for_the_least_bound_met(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = begun()
    looked: dict[Architecture, float] = {}

    def bound(new: Sequence[Architecture]) -> np.ndarray:
        values = np.array([float(list(a.values()).count("none")) / 6 for a in new])
        looked.update(zip(new, values.tolist(), strict=True))
        return values

    monkeypatch.setattr(strategy, "_bound", lambda preference: bound)
    proposal = strategy._chosen([])
    assert proposal is not None
    found, root = proposal.architecture, proposal.parent
    assert looked[found] == min(looked.values())
    told = {t.id: t.architecture for t in strategy._told}
    assert root in told
    assert found not in told.values()
    # Children of children were looked at: some are further from all that was told than one change.
    nearest = [
        min(sum(a[c.name] != b[c.name] for c in choices(CELL, a)) for b in told.values())
        for a in looked
    ]
    assert max(nearest) > 1


def test_a_bound_is_the_mean_less_some_deviations() -> None:
    strategy = begun()
    some = [sample(CELL, np.random.default_rng(s)) for s in range(9)]
    mean, deviation = strategy._predict(some)
    least = np.exp(mean - 2.576 * deviation)
    value = strategy._preference.table(least, np.zeros(len(some)), np.ones((1, 1)))[:, 0]
    np.testing.assert_allclose(strategy._bound(np.ones(1))(some), value)


def test_what_is_known_of_a_network_is_no_bound() -> None:
    strategy = begun(objectives=2)
    some = [sample(CELL, np.random.default_rng(s)) for s in range(5)]
    bound = strategy._bound(np.array([0.0, 1.0]))(some)
    costs = np.array([[0.0, FAKE.costs(a)["flops"]] for a in some])
    value = strategy._preference.table(costs, np.zeros(len(some)), np.array([[0.0, 1.0]]))[:, 0]
    np.testing.assert_allclose(bound, value)


def test_children_begin_from_the_weights_of_what_they_grew_from() -> None:
    assert AutoKeras.needs == {"parent", "inherit"}
    strategy = AutoKeras(context(evaluations=10), startup=5, children=2)
    outcomes = Play(strategy, 2, np.random.default_rng(0)).run()
    parents = [o.proposal.parent for o in outcomes]
    assert parents.count(None) == 5
    points = [o.proposal.point for o in outcomes]
    assert len(set(points)) == 10


def test_mistakes() -> None:
    with pytest.raises(HwnasError, match=r"search\.beta: must be above 0"):
        AutoKeras(context(), beta=0.0)
    with pytest.raises(HwnasError, match=r"search\.children: must be at least 1"):
        AutoKeras(context(), children=0)
