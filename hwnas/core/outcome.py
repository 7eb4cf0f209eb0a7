"""What was found out about a proposal."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hwnas.core.proposal import Proposal


@dataclass(frozen=True)
class Spent:
    """Cumulative cost of a network, that of its parents included.

    ``train`` counts training units (the estimator's fidelity), ``steps`` optimiser steps.
    """

    train: int = 0
    steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """The metrics of a proposal, units in their names (``latency_ms``, ``peak_memory_mb``).

    ``gradients`` maps metric -> choice -> d metric / d weight, shape ``[n_options]``. A candidate
    that could not be evaluated has ``failed`` set to the reason and no metrics.
    """

    proposal: Proposal
    metrics: Mapping[str, float] = field(default_factory=dict)
    gradients: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    spent: Spent = Spent()
    curve: tuple[float, ...] = ()
    failed: str | None = None
