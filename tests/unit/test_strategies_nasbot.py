"""OTMANN is an optimal transport, and NASBOT a process on it with an evolutionary acquisition."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from scipy.optimize import linprog

from hwnas.core import Architecture, HwnasError
from hwnas.graph.graph import Graph
from hwnas.graph.ops.pool import Pool
from hwnas.search._gaussian import nearest
from hwnas.search._graphs import Network, network, of
from hwnas.search._otmann import Distances, Transport, mismatch
from hwnas.search.bayes.nasbot import NASBOT
from hwnas.space.moves import choices, sample
from hwnas.testing.play import Play
from tests.unit import searching
from tests.unit.searching import CELL
from tests.unit.test_strategies_wl import IMAGE, conv, diamond

context = partial(searching.context, evaluations=60, objectives=2, units=1)


def networks(n: int, seed: int = 0) -> list[Network]:
    rng = np.random.default_rng(seed)
    return [network(CELL, sample(CELL, rng)) for _ in range(n)]


def chain(*kernels: int) -> Network:
    """Convolutions of these kernels one after another, a pool where it is 0."""
    g = Graph(IMAGE)
    x = g.input
    for i, kernel in enumerate(kernels):
        x = conv(g, str(i), x, kernel) if kernel else g.add(str(i), Pool("max", 3, 1, 1), x)
    return of(g.finish(x))


def between(a: Network, b: Network, *structure: float) -> list[float]:
    found = Distances(structure or (0.5,))
    return [float(d) for d in found([found.number(a)], [found.number(b)])[:, 0, 0]]


def program(a: Transport, b: Transport, weight: float) -> float:
    """Equations 2 and 3 of the paper, solved as the linear program that they are."""
    n, m = len(a.kinds), len(b.kinds)
    unlike = np.array([[mismatch(i, j) for j in b.kinds] for i in a.kinds])
    cost = unlike + weight * np.abs(a.paths[:, None] - b.paths).mean(axis=2)
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    # Minimise matched costs plus all masses less those matched on either side.
    found = linprog(
        (cost - 2).ravel(),
        A_ub=np.vstack([rows, columns]),
        b_ub=np.concatenate([a.masses, b.masses]),
    )
    return float(found.fun + a.masses.sum() + b.masses.sum())


def test_it_is_the_linear_program_of_the_paper() -> None:
    some = [*networks(2), diamond(), chain(3, 1, 0, 3), chain(1)]
    for a in some:
        for b in some:
            ours = between(a, b, 0.1, 0.8)
            theirs = [program(Transport.of(a), Transport.of(b), w) for w in (0.1, 0.8)]
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_masses_and_path_lengths_of_a_toy() -> None:
    """The last layer decides; input, output and decision have a tenth, but at least 1, each."""
    found = Transport.of(diamond())
    kinds = [kind for kind, _, _ in found.kinds]
    assert kinds == ["conv", "conv", "conv", "input", "output"]
    rows = {
        (kind, kernel, float(mass)): paths
        for (kind, _, kernel), mass, paths in zip(
            found.kinds, found.masses, found.paths, strict=True
        )
    }
    expected = {  # up and down: shortest, longest, random walk; a sum is no layer
        ("input", 0, 1.0): [0, 2, 0, 3, 0, (2 + 3 + 3) / 3],
        ("conv", 1, 4.0): [1, 2, 1, 2, 1, 2],
        ("conv", 3, 4.0): [1, 2, 1, 2, 1, 2],
        ("conv", 3, 1.0): [1, 1, 2, 1, (2 + 2 + 1) / 3, 1],
        ("output", 0, 1.0): [2, 0, 3, 0, (2 + 2 + 1) / 3 + 1, 0],
    }
    assert rows.keys() == expected.keys()
    for row, paths in expected.items():
        np.testing.assert_allclose(rows[row], paths)


def test_a_layer_more_costs_its_mass_and_the_places_of_the_others() -> None:
    assert between(chain(3, 3), chain(3, 3)) == [0.0]
    assert between(chain(3, 1, 3), chain(3, 5, 3), 0.0) == [pytest.approx(4 * np.sqrt(8) / 10)]
    # No pool is like a convolution: 2 for the pool and 4 for the convolution remain.
    assert between(chain(3, 0, 3), chain(3, 1, 3), 0.0) == [pytest.approx(2 + 4)]


def test_it_is_a_distance_of_networks_however_they_are_written() -> None:
    for other in (diamond(swapped=True), diamond(idle=True), diamond(swapped=True, idle=True)):
        assert between(diamond(), other, 0.1, 0.8) == [0.0, 0.0]
    some = networks(14)
    found = Distances((0.1, 0.8))
    numbers = [found.number(a) for a in some]
    for d in found(numbers, numbers):
        np.testing.assert_array_equal(d, d.T)
        assert (np.diag(d) == 0).all()
        assert (d[:, None] <= d[:, :, None] + d.T[None].swapaxes(1, 2) + 1e-9).all()
        same = np.equal.outer(numbers, numbers)
        assert (d[~same] > 0).all()


def test_costs_of_taking_one_layer_for_another() -> None:
    conv3, conv5, deep = ("conv", "Conv", 3), ("conv", "Conv", 5), ("conv", "Conv Conv", 3)
    assert mismatch(conv3, conv5) == pytest.approx(0.2)  # Table 1
    assert mismatch(conv3, ("conv", "Conv", 3)) == 0
    assert mismatch(("pool", "max", 2), ("pool", "avg", 2)) == 0.25
    assert mismatch(conv3, ("pool", "max", 3)) > 2
    assert mismatch(conv3, deep) == pytest.approx(0.1)
    assert mismatch(deep, conv5) == pytest.approx(0.28)


def test_cells_that_are_repeated_are_transported_at_once() -> None:
    """Equal convolutions in a row are one place, of all their mass and in their middle."""
    found = Transport.of(chain(1, 3, 3, 3, 1))
    (i,) = [i for i, kinds in enumerate(found.kinds) if kinds[2] == 3]
    assert found.masses[i] == 3 * 4
    np.testing.assert_allclose(found.paths[i], [3, 3, 3, 3, 3, 3])


def test_the_covariance_is_positive_definite_and_predicts() -> None:
    rng = np.random.default_rng(0)
    some = [sample(CELL, rng) for _ in range(70)]
    layers = [network(CELL, a).layers for a in some]
    y = np.array([[float(sum(layer.kind == "conv" for layer in found))] for found in layers])
    strategy = NASBOT(context())
    mean, deviation = strategy._fit(some[:45], y[:45], rng)(some[45:])
    assert np.corrcoef(mean[:, 0], y[45:, 0])[0, 1] > 0.6
    assert (deviation >= 0).all()
    raw, normed = strategy._pairs(*[[strategy._number(a) for a in some[:45]]] * 2)
    for d in (*raw, *normed**2):  # as it is it need not be
        matrix, _ = nearest(np.exp(-d / d.mean()))
        assert np.linalg.eigvalsh(matrix).min() > -1e-4
    assert normed.max() <= 1


def test_parents_are_those_of_high_acquisition() -> None:
    """In proportion to exp(acquisition over two standard deviations)."""
    strategy = NASBOT(context())
    worth = np.array([0.0, 1.0, 2.0, 5.0])
    chances = strategy._chances(worth)
    np.testing.assert_allclose(np.log(chances[1:] / chances[:-1]), np.diff(worth) / worth.std() / 2)
    assert chances.sum() == pytest.approx(1)
    np.testing.assert_allclose(strategy._chances(np.zeros(3)), 1 / 3)
    odd = strategy._chances(np.array([-np.inf, -3.0, 0.0]))
    assert odd[0] == pytest.approx(odd[1])
    np.testing.assert_allclose(strategy._chances(np.full(2, -np.inf)), 0.5)


def test_as_many_changes_as_the_paper_makes() -> None:
    strategy = NASBOT(context())
    parent = sample(CELL, np.random.default_rng(0))
    changed = [strategy._changed(parent) for _ in range(600)]
    apart = [sum(a[c.name] != parent[c.name] for c in choices(CELL, parent)) for a in changed]
    # One change is made of one step, or of more that meet in the same choice.
    assert 0.5 < apart.count(1) / 600 < 0.62
    assert max(apart) <= 5


def test_the_best_of_what_was_bred_is_asked_for() -> None:
    strategy = NASBOT(context(), startup=5, candidates=20, mutations=4)
    Play(strategy).run(6)
    looked: list[Architecture] = []

    def score(new: Sequence[Architecture]) -> np.ndarray:
        looked.extend(new)
        return np.array([float(list(a.values()).count("nor_conv_3x3")) for a in new])

    best = strategy._best(score)
    bred = looked[6:]
    assert looked[:6] == [told.architecture for told in strategy._told]
    assert len(bred) == len(set(bred)) == 20
    assert best in bred
    assert score([best])[0] == score(bred).max()


def test_mistakes() -> None:
    with pytest.raises(HwnasError, match=r"search\.mutations: must be at least 1"):
        NASBOT(context(), mutations=0)
