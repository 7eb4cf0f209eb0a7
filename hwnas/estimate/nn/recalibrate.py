"""Batch-norm statistics of weights that were not trained together."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def recalibrate(
    model: nn.Module, run: Callable[[Tensor], object], batches: Iterable[Tensor]
) -> None:
    """Measure them anew: the plain mean over batches that ``run`` passes through the model."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    for x in batches:
        run(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
