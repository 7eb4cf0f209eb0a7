"""What the checks of estimators look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.core.device import Device
from hwnas.core.estimator import Estimator
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.registry import check_options, find
from hwnas.core.setting import Setting
from hwnas.core.space import Space
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.testing._outcomes import outcomes_of
from hwnas.testing.fakes import FakeTask
from hwnas.testing.small import small


@dataclass(frozen=True)
class Bench:
    """An estimator with its options, in a space, with a folder for its weights."""

    cls: type[Estimator]
    options: Mapping[str, Any]
    space: Space
    folder: Path

    def setting(self, task: FakeTask | None = None) -> Setting:
        """In double precision, so that gradients can be checked by finite differences."""
        device = Device(precision="float64")
        return Setting(self.space, task or FakeTask(), device, 3, self.folder, keep=True)

    def estimator(self, task: FakeTask | None = None) -> Estimator:
        """A new one."""
        return self.cls(self.setting(task), **self.options)

    def proposals(self, count: int = 4) -> list[Proposal]:
        """Full trials of random architectures."""
        rng = np.random.default_rng(0)
        units = self.estimator().units
        return [Proposal(i, sample(self.space, rng), units) for i in range(count)]

    def run(self, proposals: Sequence[Proposal]) -> list[Outcome]:
        """Outcomes of a new one, in the order of the proposals."""
        estimator = self.estimator()
        try:
            return outcomes_of(estimator, proposals)
        finally:
            estimator.close()


def estimator_bench(
    estimator: str | type[Estimator],
    options: Mapping[str, Any] | None,
    space: Space | None,
    folder: Path,
) -> Bench:
    """An estimator ready for the checks; ``options`` None makes it small.

    Raises :class:`HwnasError` if it does not fit the space or the options.
    """
    cls = (
        find("estimators", estimator, "estimator").cls if isinstance(estimator, str) else estimator
    )
    given = small(cls) if options is None else options
    task = FakeTask()
    space = space or NasBench201(task.input, task.outputs, cells=1, channels=2)
    bench = Bench(cls, check_options(cls, given, "estimator"), space, folder)
    bench.estimator().close()
    return bench
