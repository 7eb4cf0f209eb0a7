"""Tiny searches of whatever fits together, and how they are stopped and gone on with."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from hwnas.core import Context, Device, Estimator, HwnasError, Objective, Objectives, Setting
from hwnas.core.outcome import Outcome
from hwnas.core.registry import Kind, create, discover
from hwnas.core.space import Space
from hwnas.core.strategy import Strategy
from hwnas.pipeline.archive import Archive
from hwnas.pipeline.driver import Driver
from hwnas.profile.flops import Flops
from hwnas.space.moves import output
from hwnas.testing import FakeTask, small
from hwnas.testing.space import space_grounds
from hwnas.track.store import Store

Row = tuple[Any, ...]
QUICK = ("nas_bench_201", "chain")
"""A space with a supernet and a conditional one; strategies meet the others in slow tests."""


class Combination(NamedTuple):
    """Names of components; whether they fit, they say themselves."""

    strategy: str
    space: str
    estimator: str

    @property
    def seed(self) -> int:
        """A number of its own, the same in every process."""
        return sha256("/".join(self).encode()).digest()[0]


def combinations() -> list[Combination]:
    return [
        Combination(strategy, space, estimator)
        for strategy in discover("strategies")
        for space in discover("spaces")
        for estimator in discover("estimators")
    ]


@cache  # an estimator that looks networks up reads its table once for each space
def small_space(name: str) -> Space:
    """A small one, of what the fake task has."""
    task = FakeTask()
    return space_grounds(name, input=task.input, outputs=task.outputs).space


class Search:
    """A search in a folder. Raises HwnasError, before any work, if its parts do not fit."""

    def __init__(
        self, parts: Combination, folder: Path, progress: Callable[[], None] = lambda: None
    ) -> None:
        task, space = FakeTask(), small_space(parts.space)
        given = output(space)
        if given != task.output:
            raise HwnasError(f"{parts.space} puts out {given}, not classes.")
        setting = Setting(space, task, Device(), parts.seed, folder, keep=True)
        estimator: Estimator = _create("estimators", parts.estimator, 4, setting)
        flops = Flops(setting)
        objectives = Objectives([Objective(m) for m in (estimator.metrics[0], *flops.metrics)])
        context = Context(
            space,
            objectives,
            np.random.default_rng(parts.seed),
            units=estimator.units,
            evaluations=9,
            costs=flops.measure,
        )
        self.strategy: Strategy = _create("strategies", parts.strategy, 4, context)
        missing = self.strategy.required - estimator.provides
        if missing:
            raise HwnasError(f"{parts.estimator} does not provide {sorted(missing)}.")
        self.archive = Archive(objectives, estimator.units, {"error": 1.0, "flops": 1e6})
        self.store = Store(folder / "trials.db")
        self.driver = Driver(
            self.strategy, estimator, [flops], self.archive, self.store, progress, interval=0.0
        )


def fits(parts: Combination, folder: Path) -> str:
    """Empty if the parts fit together, the reason if they do not."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        Search(parts, folder)
    except HwnasError as error:
        return error.message
    return ""


def quick(strategy: str, estimator: str, folder: Path) -> Combination | None:
    """They in one of the quick spaces where they fit, turn about; None if there is none."""
    every = [Combination(strategy, space, estimator) for space in QUICK]
    first = every[0].seed % len(every)
    fitting = (c for c in every[first:] + every[:first] if not fits(c, folder / c.space))
    return next(fitting, None)


def finish(parts: Combination, folder: Path) -> tuple[list[Row], list[tuple[int, float]]]:
    """Search to the end, or go on to it: what the store then holds."""
    torch.set_num_threads(1)
    search = Search(parts, folder)
    with search.store as store:
        search.driver.resume()
        search.driver.run()
        return [row(trial) for trial in store.trials()], store.curve()


def row(trial: Outcome) -> Row:
    """All of a trial but its seconds, which differ from run to run."""
    spent = (trial.spent.train, trial.spent.steps)
    metrics = sorted(trial.metrics.items())
    return trial.proposal.to_json(), metrics, spent, trial.curve, trial.failed


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it, nothing is tidied up."""


def stop(parts: Combination, folder: Path, after: int) -> int:
    """Search until told ``after`` times; how many times it was told."""
    told = 0

    def progress() -> None:
        nonlocal told
        told += 1
        if told == after:
            raise Killed

    search = Search(parts, folder, progress)
    with search.store, suppress(Killed):
        search.driver.run()
    return told


def _create(kind: Kind, name: str, most: int, *injected: Any) -> Any:
    options = small(discover(kind)[name].cls, most)
    return create(kind, {"name": name, **options}, kind, *injected)
