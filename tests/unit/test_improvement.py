"""The expected hypervolume improvement is exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core.pareto import hypervolume
from hwnas.search._improvement import Improvement

grids = st.integers(1, 4).flatmap(
    lambda m: st.tuples(
        st.lists(st.tuples(*[st.integers(-3, 4)] * m), max_size=9),  # ties, and the reference is 3
        st.tuples(*[st.integers(-4, 4)] * m),
    )
)


@given(grids)
@settings(max_examples=150, deadline=None)
def test_without_deviation_it_is_the_difference_of_hypervolumes(case: tuple[list, tuple]) -> None:
    points, new = case
    m = len(new)
    reference = np.full(m, 3.0)
    front, point = np.array(points, float).reshape(-1, m), np.array([new], float)
    expected = hypervolume(np.vstack([front, point]), reference) - hypervolume(front, reference)
    got = Improvement(front, reference)(point, np.zeros((1, m)))
    assert got == pytest.approx([expected], abs=1e-9)


@given(grids)
@settings(max_examples=50, deadline=None)
def test_boxes_are_disjoint_and_cover_what_nothing_dominates(case: tuple[list, tuple]) -> None:
    points, new = case
    m = len(new)
    front = np.array(points, float).reshape(-1, m)
    lower, upper = Improvement(front, np.full(m, 3.0)).boxes
    at = np.random.default_rng(0).uniform(-5, 4, (200, 1, m))
    boxes = ((lower < at) & (at < upper)).all(axis=2).sum(axis=1)
    free = (at[:, 0] < 3).all(axis=1) & ~(front[None] <= at).all(axis=2).any(axis=1)
    assert np.array_equal(boxes, free)


def problem(m: int, n: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A front with dominated points and one beyond the reference, means and deviations."""
    rng = np.random.default_rng(seed)
    front = rng.uniform(0.5, 1.0, (n, m))
    front[0, 0] = 1.7
    return front, rng.uniform(0.1, 1.3, (6, m)), rng.uniform(0.05, 0.5, (6, m))


@pytest.mark.parametrize("m", [1, 2, 3])
def test_it_is_the_mean_over_normal_and_lognormal_values(m: int) -> None:
    front, mean, deviation = problem(m)
    logarithmic = np.arange(m) % 2 == 0
    mean[:, logarithmic] = np.log(mean[:, logarithmic])
    deviation[-1, -1] = 0.0  # known
    reference = np.full(m, 1.1)
    draws = mean + deviation * np.random.default_rng(1).standard_normal((20_000, 1, 1, m))[:, 0]
    draws[..., logarithmic] = np.exp(draws[..., logarithmic])
    improvement = Improvement(front, reference)
    samples = improvement(draws.reshape(-1, m), np.zeros((draws.size // m, m)))
    samples = samples.reshape(-1, len(mean))
    error = samples.std(axis=0) / np.sqrt(len(samples))
    got = improvement(mean, deviation, logarithmic)
    assert (np.abs(got - samples.mean(axis=0)) < 4.5 * error + 1e-5).all()


@pytest.mark.parametrize("m", [2, 3])
def test_it_is_that_of_botorch(m: int) -> None:
    import torch
    from botorch.acquisition.multi_objective import ExpectedHypervolumeImprovement
    from botorch.models.deterministic import DeterministicModel
    from botorch.posteriors import GPyTorchPosterior
    from botorch.utils.multi_objective.box_decompositions import FastNondominatedPartitioning
    from gpytorch.distributions import MultitaskMultivariateNormal

    front, mean, deviation = problem(m)
    reference = np.full(m, 1.1)

    class Given(DeterministicModel):
        """Has the posterior of the index it is asked for, to be maximised."""

        _num_outputs = m

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            raise NotImplementedError

        def posterior(self, X: torch.Tensor, *args: object, **kwargs: object) -> GPyTorchPosterior:
            i = X[..., 0].long()
            variance = torch.from_numpy(deviation**2)[i].flatten(-2)
            normal = MultitaskMultivariateNormal(
                -torch.from_numpy(mean)[i], torch.diag_embed(variance)
            )
            return GPyTorchPosterior(normal)

    far = torch.from_numpy(-reference)
    partitioning = FastNondominatedPartitioning(far, torch.from_numpy(-front))
    theirs = ExpectedHypervolumeImprovement(Given(), far, partitioning)
    expected = theirs(torch.arange(len(mean)).double()[:, None, None]).numpy()
    assert Improvement(front, reference)(mean, deviation) == pytest.approx(expected, rel=1e-6)


def test_of_one_objective_it_is_the_expected_improvement() -> None:
    from scipy.stats import norm

    front, mean, deviation = problem(1)
    best = front.min()
    z = (best - mean) / deviation
    expected = (best - mean) * norm.cdf(z) + deviation * norm.pdf(z)
    got = Improvement(front, np.array([1.1]))(mean, deviation)
    assert got == pytest.approx(expected[:, 0], rel=1e-9)
