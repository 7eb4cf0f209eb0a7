"""The Weisfeiler-Lehman kernel and what it reads of networks; the process on it."""

from collections import Counter
from functools import partial

import numpy as np
import pytest

from hwnas.core import HwnasError, TensorType
from hwnas.graph.graph import Graph, Node
from hwnas.graph.ops.conv import Conv
from hwnas.graph.ops.identity import Identity
from hwnas.graph.ops.pool import Pool
from hwnas.graph.ops.sum import Sum
from hwnas.graph.ops.zero import Zero
from hwnas.search._gaussian import fit, nearest
from hwnas.search._graphs import Network, network, of
from hwnas.search._weisfeiler_lehman import Subtrees, products
from hwnas.search.bayes.wl import WL
from hwnas.search.random import Random
from hwnas.space.chain import Chain
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201, from_string
from tests.unit import searching
from tests.unit.searching import CELL, volume

IMAGE = TensorType((2, 8, 8))


context = partial(searching.context, evaluations=60, objectives=2, units=1)


def conv(g: Graph, name: str, x: Node, kernel: int = 3) -> Node:
    return g.add(name, Conv(2, kernel), x)


def diamond(swapped: bool = False, idle: bool = False) -> Network:
    """conv 1x1(x) + conv 3x3(x) + x, then conv 3x3; ``idle`` with what does nothing."""
    g = Graph(IMAGE)
    names = ("b", "a") if swapped else ("a", "b")
    x = g.add("same", Identity(), g.input) if idle else g.input
    made = {name: conv(g, name, x, 1 if name == "a" else 3) for name in names}
    terms = [made["a"], made["b"], x]
    if idle:
        conv(g, "unread", x)
        dead = conv(g, "dead", g.add("zero", Zero(), x))
        inner = g.add("inner", Sum(), dead, made["b"], made["a"])
        terms = [x, inner]
    if swapped:
        terms = terms[::-1]
    return of(g.finish(conv(g, "last", g.add("sum", Sum(), *terms))))


def test_a_network_is_its_layers_and_who_reads_whom() -> None:
    found = diamond()
    assert [layer.kind for layer in found.layers] == [
        "input",
        "conv",
        "conv",
        "join",
        "conv",
        "output",
    ]
    assert [layer.kernel for layer in found.layers] == [0, 1, 3, 0, 3, 0]
    assert found.inputs == ((), (0,), (0,), (1, 2, 0), (3,), (4,))
    assert found.readers == ((1, 2, 3), (3,), (3,), (4,), (5,), ())
    assert found.layers[1].mass == 2 * 2


def test_what_does_nothing_is_no_layer() -> None:
    assert Counter(diamond(idle=True).layers) == Counter(diamond().layers)


def test_a_cell_that_is_repeated_is_found() -> None:
    space = NasBench201(TensorType((3, 32, 32)), 10)
    text = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|skip_connect~2|"
    found = network(space, from_string(text))
    kept = sorted(set(found.first))
    times = [found.first.count(v) for v in kept]
    assert Counter(times) == {5: 3 * 4, 1: 2 + 2 * 4 + 4}  # a cell: three layers and their sum
    cell = [v for v, n in zip(kept, times, strict=True) if n == 5][:4]
    for k in range(5):  # what repeats a layer does so cell by cell
        again = [v + 4 * k for v in cell]
        assert [found.first[v] for v in again] == cell
        assert [found.layers[v] for v in again] == [found.layers[v] for v in cell]


def test_repeats_within_repeats() -> None:
    g = Graph(IMAGE)
    x = g.input
    for i, kernel in enumerate((3, 3, 1, 3, 3, 1, 3, 1)):
        x = conv(g, str(i), x, kernel)
    assert of(g.finish(x)).first == (0, 1, 1, 3, 1, 1, 3, 7, 8, 9)


def test_subtrees_are_counted_as_by_hand() -> None:
    found = Subtrees(2)(diamond())
    # Input, 1x1, 3x3, sum, the other 3x3, output; both 3x3 look the same until height 2.
    counts = [sorted(Counter(numbers.tolist()).values()) for numbers in found]
    assert counts == [[1, 1, 1, 1, 2], [1] * 6, [1] * 6]
    chain = Graph(IMAGE)
    x = chain.input
    for i in range(3):
        x = conv(chain, str(i), x)
    subtrees = Subtrees(3)(of(chain.finish(x)))
    # The first reads the input, the others read a convolution; and so on up.
    counts = [sorted(Counter(numbers.tolist()).values()) for numbers in subtrees]
    assert counts == [[1, 1, 3], [1, 1, 1, 2], [1] * 5, [1] * 5]


def test_kernels_are_normalised_inner_products_of_counts() -> None:
    subtrees = Subtrees(2)
    rng = np.random.default_rng(0)
    found = [subtrees(network(CELL, sample(CELL, rng))) for _ in range(12)]
    kernels = products(found, found)
    for height in range(3):
        counts = [Counter(np.concatenate(numbers[: height + 1]).tolist()) for numbers in found]
        inner = np.array([[sum(a[k] * b[k] for k in a) for b in counts] for a in counts], float)
        root = np.sqrt(np.diag(inner))
        np.testing.assert_allclose(kernels[height], inner / np.outer(root, root))
        assert np.linalg.eigvalsh(kernels[height]).min() > -1e-9
    np.testing.assert_allclose(products(found[:3], found), kernels[:, :3])


def test_the_same_network_written_otherwise_has_the_same_subtrees() -> None:
    subtrees = Subtrees(3)
    for other in (diamond(swapped=True), diamond(idle=True), diamond(swapped=True, idle=True)):
        for a, b in zip(subtrees(diamond()), subtrees(other), strict=True):
            assert Counter(a.tolist()) == Counter(b.tolist())
    assert not np.array_equal(
        np.sort(subtrees(diamond())[1]),
        np.sort(subtrees(of(_pooled()))[1]),
    )


def _pooled() -> Graph:
    g = Graph(IMAGE)
    return g.finish(g.add("pool", Pool("avg", 3, padding=1), g.input))


def test_a_process_is_that_of_the_textbook() -> None:
    from scipy.stats import multivariate_normal

    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(30, 2)), rng.normal(size=(9, 2))
    y = 3 + np.sin(2 * x[:, 0]) + 0.1 * rng.normal(size=30)

    def covariance(p: np.ndarray, a: np.ndarray = x) -> tuple[np.ndarray, np.ndarray]:
        apart = ((a[:, None] - x) ** 2).sum(axis=2) / np.exp(2 * p[1])
        matrix = np.exp(p[0] - apart / 2)
        return matrix, np.array([matrix, matrix * apart])

    found = fit(covariance, y, np.zeros(2), np.log([[0.1, 100.0], [0.1, 10.0]]))
    z = (y - y.mean()) / y.std()

    def likelihood(parameters: np.ndarray, noise: float) -> float:
        matrix = covariance(parameters)[0] + noise * np.eye(30)
        return float(multivariate_normal.logpdf(z, cov=matrix))

    assert found.likelihood == pytest.approx(likelihood(found.parameters, found.noise))
    for _ in range(50):  # it is the highest around
        step = 0.1 * rng.normal(size=3)
        other = likelihood(found.parameters + step[:2], found.noise * np.exp(step[2]))
        assert other < found.likelihood + 1e-6
    cross = covariance(found.parameters, new)[0]
    inverse = np.linalg.inv(covariance(found.parameters)[0] + found.noise * np.eye(30))
    prior = np.exp(found.parameters[0])
    mean, deviation = found(cross, np.full(9, prior))
    np.testing.assert_allclose(mean, y.mean() + y.std() * cross @ inverse @ z, rtol=1e-6)
    variance = prior - np.einsum("ij,jk,ik->i", cross, inverse, cross)
    np.testing.assert_allclose(deviation, y.std() * np.sqrt(variance), rtol=1e-4)


def test_a_matrix_that_is_no_covariance_is_replaced_by_the_nearest() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(6, 6))
    matrix = matrix + matrix.T
    found, kept = nearest(matrix)
    assert np.linalg.eigvalsh(found).min() > -1e-9
    values = np.linalg.eigvalsh(matrix)
    assert np.sum((found - matrix) ** 2) == pytest.approx(np.sum(values[values < 0] ** 2))
    np.testing.assert_allclose(found, matrix @ kept, atol=1e-9)
    assert nearest(found + 1e-3 * np.eye(6))[1] is None
    y = rng.normal(size=6)
    process = fit(
        lambda p: (np.exp(p[0]) * matrix, np.exp(p[0]) * matrix[None]),
        y,
        np.zeros(1),
        np.zeros((1, 2)),
    )
    assert np.isfinite(process.likelihood)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_the_model_predicts(kernel: str) -> None:
    rng = np.random.default_rng(0)
    networks = [sample(CELL, rng) for _ in range(90)]

    def error(architecture: object) -> float:
        counts = Counter(dict(architecture).values())  # type: ignore[call-overload]
        return float(counts["none"] - counts["nor_conv_3x3"])

    y = np.array([[error(a)] for a in networks])
    strategy = WL(context(), kernel=kernel)  # type: ignore[arg-type]
    mean, deviation = strategy._fit(networks[:60], y[:60], rng)(networks[60:])
    assert np.corrcoef(mean[:, 0], y[60:, 0])[0, 1] > 0.7
    assert (deviation > 0).all()
    assert np.abs((mean - y[60:]) / deviation).mean() < 3


def test_better_than_random_on_a_toy() -> None:
    given = [{"evaluations": 30, "seed": seed} for seed in range(3)]
    ours = [volume(WL(context(**g), startup=10, candidates=20, height=1)) for g in given]
    theirs = [volume(Random(context(**g))) for g in given]
    assert np.mean(ours) > np.mean(theirs)


def test_the_space_of_conditional_choices() -> None:
    space = Chain(TensorType((1, 4, 4)), 3)
    found = {
        Subtrees(1)(network(space, sample(space, np.random.default_rng(s))))[1].size
        for s in range(9)
    }
    assert len(found) > 1


def test_mistakes() -> None:
    with pytest.raises(HwnasError, match=r"search\.height: must be at least 0"):
        WL(context(), height=-1)
