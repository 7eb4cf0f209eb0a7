"""Gaussian process regression."""

import warnings
from collections.abc import Mapping

import numpy as np
import torch
from gpytorch.kernels import Kernel

from hwnas.search._standard import standard

_JITTER = 1e-6  # of the variance of the values


class Process:
    """A process with noise on inputs ``x [n, d]`` and values ``y [n]``, by BoTorch.

    Its hyperparameters maximise the marginal likelihood (Rasmussen & Williams 2006, chapter 5)
    times their priors, from those of the kernel as it is given or from where an earlier fit ended
    (``begin``, whose vectors may be shorter), in at most ``iterations`` steps of L-BFGS.
    """

    def __init__(
        self,
        kernel: Kernel,
        x: np.ndarray,
        y: np.ndarray,
        begin: Mapping[str, np.ndarray],
        iterations: int,
    ) -> None:
        from botorch.exceptions.warnings import BotorchWarning
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from gpytorch.mlls import ExactMarginalLogLikelihood

        z, self._mean, self._spread = standard(y)
        self._inputs = torch.from_numpy(np.asarray(x, float))
        targets = torch.from_numpy(z)[:, None]
        model = SingleTaskGP(
            self._inputs,
            targets,
            covar_module=kernel.double(),
            outcome_transform=None,
            input_transform=None,
        )
        with torch.no_grad():
            parameters = dict(model.named_parameters())
            for name, value in begin.items():
                known = torch.from_numpy(value).flatten()
                parameters[name].view(-1)[: len(known)] = known
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
        self.learned = {n: p.detach().numpy().copy() for n, p in model.named_parameters()}
        self._kernel = model.covar_module
        with torch.no_grad():
            self._constant = float(model.mean_module(self._inputs)[0])
            self._targets = targets - self._constant
            self._noise = float(model.likelihood.noise)
            self._covariance = self._kernel(self._inputs).to_dense()
        self._condition(self._targets, self._noise)

    def _condition(self, values: torch.Tensor, noise: float) -> None:
        """Make it that of a function seen with ``values [n, m]``, any column of them."""
        with torch.no_grad():
            identity = torch.eye(len(values), dtype=values.dtype)
            self._root = torch.linalg.cholesky(self._covariance + noise * identity)
            self._weights = torch.cholesky_solve(values, self._root)

    def draw(self, count: int, rng: np.random.Generator) -> None:
        """From now on take ``count`` functions that may be true for seen, at the inputs, exactly.

        They are drawn by Matheron's rule: a function of the prior, moved by what the process
        expects of the values that are left.
        """
        n = len(self._inputs)
        with torch.no_grad():
            root = torch.linalg.cholesky(self._covariance + _JITTER * torch.eye(n).double())
            prior = root @ torch.from_numpy(rng.standard_normal((n, count)))
            noise = self._noise**0.5 * torch.from_numpy(rng.standard_normal((n, count)))
            left = torch.cholesky_solve(self._targets - prior - noise, self._root)
            self._condition(prior + self._covariance @ left, _JITTER)

    def __call__(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means ``[draws, m]`` and deviations ``[m]``, without noise, at inputs ``[m, d]``.

        Point by point: BoTorch's posterior would need all covariances of thousands of candidates.
        """
        with torch.no_grad():
            points = torch.from_numpy(np.asarray(at, float))
            cross = self._kernel(points, self._inputs).to_dense()
            prior = self._kernel(points, diag=True)
            explained = torch.linalg.solve_triangular(self._root, cross.T, upper=False)
            variance = (prior - explained.square().sum(0)).clamp_min(0)
            means = (cross @ self._weights).T.numpy() + self._constant
        return means * self._spread + self._mean, variance.sqrt().numpy() * self._spread
