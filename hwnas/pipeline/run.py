"""A pipeline at work: its components, built and checked, and its folder."""

from collections.abc import Callable, Collection, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.device import Device
from hwnas.core.errors import HwnasError
from hwnas.core.estimator import Estimator
from hwnas.core.metric import Metric
from hwnas.core.objective import Objective, Objectives
from hwnas.core.profiler import Profiler
from hwnas.core.registry import create, discover, nearest
from hwnas.core.setting import Setting
from hwnas.core.space import Space
from hwnas.core.strategy import Strategy
from hwnas.core.tracker import Event
from hwnas.export.onnx import Onnx
from hwnas.export.select import parse
from hwnas.pipeline.config import Pipeline
from hwnas.profile.runner import require
from hwnas.space.moves import output
from hwnas.task.task import Task

STAGES = {
    "space": ("task", "space", "objectives", "device", "seed"),
    "search": ("search",),
    "estimate": ("estimate",),
    "profile": ("profile",),
    "export": ("export",),
}
"""The stages in order, each with the sections that it is the first to read."""


class Run:
    """What the stages share. Building a component checks its section; nothing is written."""

    def __init__(
        self,
        pipeline: Pipeline,
        folder: Path,
        name: str,
        record: Callable[[Event], None],
        extras: bool = True,
    ) -> None:
        self.pipeline = pipeline
        self.folder = folder
        self.name = name
        self.record = record
        self.extras = extras  # whether trials have the cheap metrics that are no objectives

    @cached_property
    def task(self) -> Task:
        """The task, which reads its data when they are asked for."""
        task: Task = create("tasks", self.pipeline.task.component(), "task")
        return task

    @cached_property
    def space(self) -> Space:
        """The search space. Raises :class:`HwnasError` if its networks are not for the task."""
        section, task = self.pipeline.space.component(), self.task
        space: Space = create("spaces", section, "space", task.input, task.outputs)
        try:
            given = output(space)
            problem = "" if given == task.output else f"they put out {given}, not {task.output}"
        except HwnasError as error:
            problem = error.message
        if problem:
            raise HwnasError(
                f"space.name: networks of {section['name']} are not for task"
                f" {self.pipeline.task.name}: {problem.rstrip('.')}.",
                f"Spaces that fit: {', '.join(self._fitting()) or 'none'}.",
            )
        return space

    def _fitting(self) -> list[str]:
        """The spaces whose default networks suit the task."""
        found = []
        for name, component in discover("spaces").items():
            try:
                space = component.cls(self.task.input, self.task.outputs)
                given = output(space)
            except HwnasError:
                continue
            if given == self.task.output:
                found.append(name)
        return found

    @cached_property
    def device(self) -> Device:
        """The device. Raises :class:`HwnasError` if it is not there."""
        device = self.pipeline.device.resolve(self.pipeline.search.workers)
        require(device)
        return device

    @cached_property
    def setting(self) -> Setting:
        """What profilers are given."""
        return Setting(self.space, self.task, self.device, self.pipeline.seed, self.folder)

    @cached_property
    def objectives(self) -> Objectives:
        """The objectives, each a metric that the task, the estimator or a profiler measures."""
        known: dict[str, Metric] = {m.name: m for m in self.task.metrics}
        for component in discover("profilers").values():
            known |= {m.name: m for m in component.cls.metrics}
        known |= {m.name: m for m in self.estimator.metrics}
        chosen = []
        for i, section in enumerate(self.pipeline.objectives):
            if section.metric not in known:
                raise HwnasError(
                    f"objectives.{i}.metric: nothing measures {section.metric!r}.",
                    nearest(section.metric, list(known)),
                )
            chosen.append(Objective(known[section.metric], section.limit))
        return Objectives(chosen)

    @cached_property
    def estimator(self) -> Estimator:
        """The estimator alone: what it measures and knows, and a search that needs no more."""
        return self._plain(keep=False)

    @cached_property
    def search_profilers(self) -> list[Profiler]:
        """Profilers of the objectives, and whatever else is cheap, if the estimator has it not."""
        wanted = {o.name for o in self.objectives}
        given = {m.name for m in self.estimator.metrics}
        built = []
        for profiler in self.profilers():
            more = {m.name for m in profiler.metrics} - given
            if more & wanted or (more and profiler.cheap and self.extras):
                built.append(profiler)
        workers = self.pipeline.search.workers
        for profiler in built:
            if profiler.exclusive and workers > 1:
                names = ", ".join(m.name for m in profiler.metrics)
                raise HwnasError(
                    f"search.workers: {workers} processes would disturb each other's {names}.",
                    "Use workers: 1 where time is measured, or leave it to the profile stage.",
                )
        return built

    def profilers(self, **effort: Any) -> list[Profiler]:
        """Every profiler; those that time real runs do so with ``effort``."""
        return [
            create("profilers", {"name": name, **(effort if c.cls.exclusive else {})},
                   "profile", self.setting)
            for name, c in discover("profilers").items()
        ]  # fmt: skip

    def costs(
        self, architecture: Architecture, only: Collection[str] | None = None
    ) -> Mapping[str, float]:
        """The cheap metrics of an architecture, of profilers those that tell any of ``only``."""
        found = dict(self.estimator.costs(architecture))
        for profiler in self.search_profilers:
            told = {m.name for m in profiler.metrics}
            if profiler.cheap and (only is None or told.intersection(only)):
                found |= profiler.measure(architecture)
        return found

    def searchers(self) -> tuple[Strategy, Estimator]:
        """A new strategy and estimator, checked to fit each other."""
        search = self.pipeline.search
        context = Context(
            self.space,
            self.objectives,
            np.random.default_rng(self.pipeline.seed),
            evaluations=search.evaluations,
            # A strategy may ask for those of thousands of candidates.
            costs=partial(self.costs, only={o.name for o in self.objectives}),
        )
        estimator = self.trainer(keep=False)
        context.units = estimator.units
        strategy: Strategy = create("strategies", search.component(), "search", context)
        missing = strategy.required - estimator.provides
        if missing:
            able = [n for n, c in discover("estimators").items() if missing <= c.cls.provides]
            raise HwnasError(
                f"search.estimator: {search.estimator.name} does not provide"
                f" {', '.join(sorted(missing))}, which strategy {search.name} needs.",
                f"Estimators that do: {', '.join(able) or 'none'}.",
            )
        if "parent" in strategy.required:
            estimator.close()
            estimator = self.trainer(keep=True)
        return strategy, estimator

    def trainer(self, keep: bool) -> Estimator:
        """The estimator of a search, in its processes; ``keep`` the weights for later proposals."""
        search = self.pipeline.search
        estimator: Estimator
        if search.workers > 1:
            from hwnas.estimate.wrap.parallel import Parallel

            config = search.estimator.component()
            estimator = Parallel(self._setting(keep), config, search.workers)
        else:
            estimator = self._plain(keep) if keep else self.estimator
        if search.cache:
            from hwnas.estimate.wrap.cache import Cache

            return Cache(self._setting(keep), estimator)
        return estimator

    def _plain(self, keep: bool) -> Estimator:
        config = self.pipeline.search.estimator.component()
        estimator: Estimator = create("estimators", config, "search.estimator", self._setting(keep))
        return estimator

    def _setting(self, keep: bool) -> Setting:
        folder = self.folder / "search"
        return Setting(self.space, self.task, self.device, self.pipeline.seed, folder, keep)

    @cached_property
    def exporter(self) -> Onnx:
        """The exporter."""
        section = self.pipeline.export
        return Onnx(self.space, opset=section.opset, exporter=section.exporter)

    def check(self, data: bool = True) -> None:
        """Build everything once, so that a mistake in the file is found before any work.

        ``data`` are read too, unless nothing will be trained.
        """
        if data:
            _ = self.task.splits
        _ = self.device, self.objectives, self.search_profilers, self.exporter
        parse(self.pipeline.export.select)
        _, estimator = self.searchers()
        estimator.close()
        del self.estimator  # a search begins with a new one

    def say(self, stage: str, message: str) -> None:
        """A line for people."""
        self.record(Event(stage, "say", message=message))
