"""Small spaces, and searches of them by hand, for tests of strategies."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hwnas.core import (
    Architecture,
    Context,
    Objective,
    Objectives,
    Outcome,
    Proposal,
    Setting,
    Space,
    Strategy,
    TensorType,
)
from hwnas.core.pareto import hypervolume
from hwnas.space.chain import Chain
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.testing import FakeEstimator, FakeTask
from hwnas.testing.play import Play

CELL = NasBench201(TensorType((1, 4, 4)), 3, cells=1, channels=2)
POINT = TensorType((1, 1, 1))
TINY = Chain(POINT, 3, depth=[1, 2], filters=[4], kernels=[1], dense=[0])  # 6 networks
FAKE = FakeEstimator(Setting(CELL, FakeTask()))

Metrics = Callable[[Architecture], Mapping[str, float] | None]


def context(
    evaluations: int = 10_000,
    objectives: int = 1,
    seed: int = 0,
    limit: float | None = None,
    space: Space = CELL,
    units: int = 9,
) -> Context:
    """Of the first fake metrics; ``limit`` is one of the error."""
    error, *others = FAKE.metrics[:objectives]
    goals = Objectives([Objective(error, limit), *map(Objective, others)])
    return Context(space, goals, np.random.default_rng(seed), units, evaluations, FAKE.costs)


def proposals(strategy: Strategy, metrics: Metrics, tells: int = 10_000) -> list[Proposal]:
    """What it asks for, told one by one; those of no metrics fail."""
    told: list[Proposal] = []
    while len(told) < tells and not strategy.done:
        for proposal in strategy.ask(1):  # none where it finds that it is done
            found = metrics(proposal.architecture)
            failed = "no" if found is None else None
            strategy.tell([Outcome(proposal, found or {}, failed=failed)])
            told.append(proposal)
    return told


def play(strategy: Strategy, metrics: Metrics, tells: int = 10_000) -> list[Architecture]:
    """The same, as architectures."""
    return [p.architecture for p in proposals(strategy, metrics, tells)]


def volume(strategy: Strategy) -> float:
    """Hypervolume of a whole search on the fake estimator, below 1 in each objective."""
    goals = strategy.context.objectives
    values = np.array([goals.values(o.metrics) for o in Play(strategy).run()])
    return hypervolume(values, np.ones(len(goals)))


def architectures(space: Space, n: int = 30, seed: int = 0) -> list[Architecture]:
    """At random."""
    rng = np.random.default_rng(seed)
    return [sample(space, rng) for _ in range(n)]


def distance(a: Mapping[str, Any], b: Mapping[str, Any]) -> int:
    """The number of choices in which they differ."""
    return sum(a[name] != b[name] for name in a)
