"""Gaussian process regression."""

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import torch
from gpytorch.kernels import Kernel

Posterior = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From inputs ``[m, d]`` to means and standard deviations ``[m]`` of the function without noise."""


def fit(
    kernel: Kernel,
    x: np.ndarray,
    y: np.ndarray,
    begin: Mapping[str, np.ndarray] | None = None,
    iterations: int = 50,
) -> tuple[Posterior, dict[str, np.ndarray]]:
    """A process with noise on inputs ``x [n, d]`` and values ``y [n]``, by BoTorch.

    The hyperparameters, which are returned too, maximise the marginal likelihood (Rasmussen &
    Williams 2006, chapter 5) times BoTorch's prior of the noise, from those of the kernel as it is
    given or from where an earlier fit ended (``begin``), in at most ``iterations`` steps of L-BFGS.
    """
    from botorch.exceptions.warnings import BotorchWarning
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    mean, spread = y.mean(), y.std() or 1.0
    inputs = torch.from_numpy(np.asarray(x, float))
    targets = torch.from_numpy((np.asarray(y, float) - mean) / spread)[:, None]
    model = SingleTaskGP(
        inputs, targets, covar_module=kernel.double(), outcome_transform=None, input_transform=None
    )
    if begin is not None:
        known = {name: torch.from_numpy(np.asarray(value)) for name, value in begin.items()}
        model.load_state_dict(known, strict=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BotorchWarning)  # that the steps did not suffice
        warnings.simplefilter("ignore", RuntimeWarning)
        if iterations:
            fit_gpytorch_mll(
                ExactMarginalLogLikelihood(model.likelihood, model),
                optimizer_kwargs={"options": {"maxiter": iterations}},
                max_attempts=1,
            )
    model.eval()

    # Point by point: BoTorch's own posterior would need all covariances of thousands of candidates.
    with torch.no_grad():
        constant = float(model.mean_module(inputs)[0])
        noise = float(model.likelihood.noise)
        covariance = model.covar_module(inputs).to_dense() + noise * torch.eye(len(inputs))
        root = torch.linalg.cholesky(covariance)
        weights = torch.cholesky_solve(targets - constant, root)

    def posterior(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            points = torch.from_numpy(np.asarray(at, float))
            cross = model.covar_module(points, inputs).to_dense()
            prior = model.covar_module(points[:, None]).to_dense()[:, 0, 0]
            explained = torch.linalg.solve_triangular(root, cross.T, upper=False).square().sum(0)
            deviation = (prior - explained).clamp_min(0).sqrt().numpy()
            expected = (cross @ weights)[:, 0].numpy() + constant
        return expected * spread + mean, deviation * spread

    learned = {name: value.detach().numpy().copy() for name, value in model.named_parameters()}
    return posterior, learned
