"""Gaussian processes over choices, and the search with them."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from hwnas.core import HwnasError, TensorType
from hwnas.core.state import dumps, loads
from hwnas.search.bayes.gp import GP
from hwnas.search.random import Random
from hwnas.space.chain import Chain
from hwnas.space.encoding import Encoding, one_hot
from hwnas.space.moves import mutate
from hwnas.space.size import Size
from hwnas.testing.play import Play
from tests.unit import searching
from tests.unit.searching import CELL, architectures, volume

CHAIN = Chain(TensorType((1, 8, 8)), 3)
SIZE = Size(TensorType((1, 8, 8)), 3)
KERNELS = ["hamming", "arc", "latent"]

context = partial(searching.context, evaluations=40, objectives=2)


def kernel(name: str, space: Any, seed: int | None = 0) -> tuple[Any, np.ndarray, np.ndarray, list]:
    """With hyperparameters drawn at random, on architectures: also inputs, rows and columns."""
    import torch

    from hwnas.search._models.choice_kernels import KERNELS

    encoding = Encoding(space)
    rows = encoding(architectures(space))
    found = KERNELS[name](encoding.columns).double()
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in found.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator).double()
    return found, one_hot(rows, encoding.columns), rows, encoding.columns


def matrix(found: Any, x: np.ndarray) -> np.ndarray:
    import torch

    with torch.no_grad():
        return np.asarray(found(torch.from_numpy(x)).to_dense())


@pytest.mark.parametrize("space", [CELL, CHAIN, SIZE], ids=["cell", "chain", "size"])
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_are_positive_definite(name: str, space: Any) -> None:
    import torch

    for seed in range(5):
        found, x, _, _ = kernel(name, space, seed)
        k = matrix(found, x)
        assert np.linalg.eigvalsh(k).min() > -1e-9
        assert np.diag(k) == pytest.approx(1)
        assert k == pytest.approx(k.T)
        with torch.no_grad():
            assert found(torch.from_numpy(x), diag=True).numpy() == pytest.approx(1)


@pytest.mark.parametrize("space", [CELL, CHAIN], ids=["cell", "chain"])
def test_hamming_weighs_choices_in_which_two_differ(space: Any) -> None:
    found, x, rows, columns = kernel("hamming", space)
    weights = found.weight.detach().numpy()
    expected = np.ones((len(rows), len(rows)))
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            for u, v, weight, column in zip(a, b, weights, columns, strict=True):
                if np.isnan(u) or np.isnan(v):
                    distance = float(np.isnan(u) != np.isnan(v))
                elif column.choice.ordered:
                    distance = abs(u - v) / max(column.size - 1, 1)
                else:
                    distance = float(u != v)
                expected[i, j] *= np.exp(-weight * distance)
    assert matrix(found, x) == pytest.approx(expected)


def test_arc_is_a_squared_exponential_of_places_in_circles() -> None:
    found, x, rows, columns = kernel("arc", CHAIN)
    radii, angles = found.radius.detach().numpy(), found.angle.detach().numpy()
    squares = np.zeros((len(rows), len(rows)))
    for value, radius, angle, column in zip(rows.T, radii, angles, columns, strict=True):
        if column.choice.ordered:
            turn = angle * value / max(column.size - 1, 1)
            places = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        else:  # any with this angle between each two
            gram = np.full((column.size, column.size), np.cos(angle))
            np.fill_diagonal(gram, 1)
            length, axes = np.linalg.eigh(gram)
            corners = radius * axes * np.sqrt(np.maximum(length, 0))
            places = corners[np.nan_to_num(value).astype(int)]
        places[np.isnan(value)] = 0  # the centre
        squares += ((places[:, None] - places) ** 2).sum(axis=2)
    assert matrix(found, x) == pytest.approx(np.exp(-squares / 2))


def test_latent_places_are_shared_between_choices_with_the_same_options() -> None:
    found, _, _, columns = kernel("latent", CELL)
    size = columns[0].size + 1
    tables = found.distances().detach().numpy()
    blocks = [tables[i : i + size, i : i + size] for i in range(0, len(tables), size)]
    weights = found.weight.detach().numpy()
    for block, weight in zip(blocks, weights, strict=True):
        assert block / weight == pytest.approx(blocks[0] / weights[0])
    assert len(found.shift) == 25  # a place in 5 dimensions for each of 5 options
    begin, x, rows, _ = kernel("latent", CELL, seed=None)
    differ = (rows[:, None] != rows).sum(axis=2)
    assert matrix(begin, x) == pytest.approx(np.exp(-0.5 * differ))


def process(iterations: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """Of 20 architectures; also inputs and values, of five more at the end."""
    from hwnas.search._models.process import Process

    found, x, _, _ = kernel("hamming", CELL, seed=None)
    x = np.unique(x, axis=0)[:25]
    y = 3 + 2 * (x @ np.random.default_rng(0).standard_normal(x.shape[1]))
    begin = {"likelihood.noise_covar.raw_noise": np.array([0.05])}
    return Process(found, x[:-5], y[:-5], begin, iterations), x, y


def test_the_process_is_that_of_scikit_learn() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import PairwiseKernel

    def similarity(a: np.ndarray, b: np.ndarray, gamma: float) -> float:
        return float(np.exp(-0.5 * (6 - a @ b)))

    ours, x, y = process(0)
    theirs = GaussianProcessRegressor(PairwiseKernel(metric=similarity), alpha=0.05, optimizer=None)
    scaled = (y - y[:-5].mean()) / y[:-5].std()
    mean, deviation = theirs.fit(x[:-5], scaled[:-5]).predict(x, return_std=True)
    got, spread = ours(x)
    assert got[0] == pytest.approx(mean * y[:-5].std() + y[:-5].mean())
    assert spread == pytest.approx(deviation * y[:-5].std(), abs=1e-6)


def test_draws_are_of_the_posterior() -> None:
    drawn, x, _ = process(0)
    mean, deviation = drawn(x)
    drawn.draw(4000, np.random.default_rng(0))
    means, left = drawn(x)
    assert means.shape == (4000, len(x))
    assert left[:-5].max() < 5e-3 * deviation[-1]  # at the inputs they are known
    assert means.mean(axis=0) == pytest.approx(mean[0], abs=5 * deviation.max() / np.sqrt(4000))
    total = np.sqrt(means.var(axis=0) + left**2)  # law of total variance
    assert total == pytest.approx(deviation, rel=0.08)


def test_learning_makes_the_values_likelier() -> None:
    before, x, y = process(0)
    after, _, _ = process(30)

    def loss(found: Any) -> float:
        k = found._covariance.numpy() + found._noise * np.eye(len(x) - 5)
        r = (y[:-5] - y[:-5].mean()) / y[:-5].std() - found._constant
        return float(np.linalg.slogdet(k)[1] + r @ np.linalg.solve(k, r))

    assert loss(after) < loss(before) - 1


def test_hyperparameters_are_learned_again_after_a_tenth_more() -> None:
    strategy = GP(context(evaluations=34), startup=28, candidates=20)
    play = Play(strategy)
    met = []
    for told in range(28, 35):
        play.run(told)
        met.append((strategy._learned_from, str(strategy._learned)))
    assert [n for n, _ in met] == [0, 28, 28, 28, 31, 31, 31]
    assert len({learned for _, learned in met}) == 3


@pytest.mark.parametrize("kernel", KERNELS)
def test_hyperparameters_are_kept_in_snapshots_and_as_columns_are_added(kernel: Any) -> None:
    goals: dict[str, Any] = {"objectives": 2, "space": CHAIN}
    first = GP(context(**goals), startup=3, candidates=8, iterations=3, kernel=kernel)
    play = Play(first)
    play.run(4)
    lengths = {name: len(np.ravel(v)) for name, v in first._learned[0].items()}
    play.run(9)
    assert any(len(np.ravel(v)) > lengths[name] for name, v in first._learned[0].items())
    second = GP(context(**goals, seed=9), startup=3, candidates=8, iterations=3, kernel=kernel)
    second.load_state_dict(loads(dumps(first.state_dict())))
    at = architectures(CHAIN, 5)
    for a, b in zip(first._predict(at), second._predict(at), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("draws", [0, 8])
def test_better_than_random_on_a_toy(kernel: Any, draws: int) -> None:
    options: dict[str, Any] = {"kernel": kernel, "draws": draws, "candidates": 200}
    ours = [volume(GP(context(seed=seed), **options)) for seed in range(3)]
    theirs = [volume(Random(context(seed=seed))) for seed in range(3)]
    assert all(a > b for a, b in zip(ours, theirs, strict=True))


def test_what_is_alike_is_predicted_alike() -> None:
    strategy = GP(context(objectives=1), startup=30, draws=0)
    Play(strategy).run(30)
    rng = np.random.default_rng(5)
    told = strategy._told[0].architecture
    _, deviation = strategy._predict([told, mutate(CELL, told, rng), *architectures(CELL, 40)])
    assert deviation[0] < deviation[1] < deviation[2:].max()


@pytest.mark.parametrize(
    ("key", "value"), [("startup", 0), ("candidates", 0), ("draws", -1), ("iterations", 0)]
)
def test_mistakes(key: str, value: int) -> None:
    with pytest.raises(HwnasError, match=rf"search\.{key}"):
        GP(context(), **{key: value})
