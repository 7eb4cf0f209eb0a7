"""What the checks of strategies look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwnas.core.context import Context
from hwnas.core.objective import Objective, Objectives
from hwnas.core.registry import check_options, find
from hwnas.core.setting import Setting
from hwnas.core.space import Space
from hwnas.core.strategy import Strategy
from hwnas.testing.fakes import FakeEstimator, FakeTask
from hwnas.testing.small import small

EVALUATIONS = 15


@dataclass(frozen=True)
class Case:
    """A strategy with its options, in a space."""

    cls: type[Strategy]
    options: Mapping[str, Any]
    space: Space

    def strategy(self, limit: float | None = None, objectives: int = 2, seed: int = 0) -> Strategy:
        """A new one, on the first fake metrics; ``limit`` bounds the first of them."""
        metrics = FakeEstimator(Setting(self.space, FakeTask())).metrics[:objectives]
        first, *others = [Objective(metric) for metric in metrics]
        context = Context(
            self.space,
            Objectives([replace(first, limit=limit), *others]),
            np.random.default_rng(seed),
            units=9,
            evaluations=EVALUATIONS,
            costs=FakeEstimator(Setting(self.space, FakeTask())).costs,
        )
        return self.cls(context, **self.options)


def strategy_case(
    strategy: str | type[Strategy], options: Mapping[str, Any] | None, space: Space
) -> Case:
    """The case of a strategy; ``options`` None makes it small.

    Raises :class:`HwnasError` if it does not fit the space or the options.
    """
    cls = find("strategies", strategy, "strategy").cls if isinstance(strategy, str) else strategy
    given = small(cls) if options is None else options
    case = Case(cls, check_options(cls, given, "search"), space)
    case.strategy()
    return case
