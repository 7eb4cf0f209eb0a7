"""Strategies compared: one space, one estimator, one budget, several seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.core.device import cores
from hwnas.core.errors import HwnasError
from hwnas.core.files import read_json, write_json
from hwnas.core.objective import Objectives
from hwnas.core.pareto import front, hypervolume
from hwnas.core.tracker import Event
from hwnas.pipeline._searches import SAME, searches, sibling
from hwnas.pipeline.config import Pipeline
from hwnas.pipeline.ranking import ranking, sampled
from hwnas.pipeline.run import Run
from hwnas.pipeline.stages import space as space_stage

BASELINE = "random"
_REACH = 1.1  # where the truth is known: the reference, in ranges of it from the best


def contest(pipelines: Mapping[str, Pipeline], budget: int | None) -> dict[str, Pipeline]:
    """The pipelines with one budget of evaluations, and random search if it is not among them.

    Raises :class:`HwnasError` where they differ in more than the strategy.
    """
    (name, first), *others = pipelines.items()
    for other, pipeline in others:
        sections = [(s, getattr(first, s), getattr(pipeline, s)) for s in SAME]
        sections.append(("search.estimator", first.search.estimator, pipeline.search.estimator))
        if budget is None:
            budgets = first.search.evaluations, pipeline.search.evaluations
            sections.append(("search.evaluations", *budgets))
        for section, here, there in sections:
            if here != there:
                raise HwnasError(
                    f"{section} is {there!r} in {other}, but {here!r} in {name}.",
                    "Only strategies of one space, estimator and budget can be compared"
                    " (--budget gives all of them one).",
                )
    entrants = dict(pipelines)
    if all(p.search.name != BASELINE for p in entrants.values()):
        entrants[BASELINE] = with_strategy(first, BASELINE)
    return {
        name: _updated(p, evaluations=budget or p.search.evaluations, workers=1, cache=False)
        for name, p in entrants.items()
    }


def with_strategy(pipeline: Pipeline, name: str) -> Pipeline:
    """The pipeline with another strategy, that one's own options at their defaults."""
    data = pipeline.model_dump()
    search = pipeline.search
    own = set(search.component()) - {"name"}
    data["search"] = {k: v for k, v in data["search"].items() if k not in own} | {"name": name}
    return Pipeline.model_validate(data)


def _updated(pipeline: Pipeline, **search: Any) -> Pipeline:
    data = pipeline.model_dump()
    data["search"] |= search
    return Pipeline.model_validate(data)


def compare(
    pipelines: Mapping[str, Pipeline],
    folder: Path,
    seeds: int,
    workers: int | None,
    record: Callable[[Event], None],
) -> dict[str, Any]:
    """Search with every pipeline of a :func:`contest` and every seed, and rank them.

    Searches are kept in ``folder``, those that are finished are not done again. Writes
    ``compare.json`` and returns what it holds.
    """
    name, first = next(iter(pipelines.items()))
    run = Run(first, folder / "space", name, record, extras=False)
    for entrant, pipeline in pipelines.items():
        sibling(run, entrant, pipeline, folder).check(data=run.estimator.truth() is None)
    workers = workers or (1 if any(p.exclusive for p in run.search_profilers) else cores())
    truth = _truth(run)
    if truth is None:
        if not (folder / "space" / "space.json").exists():
            space_stage.run(run)
        reference = read_json(folder / "space" / "space.json")["reference"]
    else:
        reference = _reference(run.objectives, truth)
    record(Event("compare", "start", total=seeds * len(pipelines)))
    jobs = [
        (entrant, _device(pipeline, seed, workers), folder / entrant / f"seed-{seed}", reference)
        for seed in range(seeds)
        for entrant, pipeline in pipelines.items()
    ]
    for done, _ in enumerate(searches(jobs, workers), start=1):
        record(Event("compare", "progress", done, len(jobs)))
    result = _result(run, pipelines, folder, seeds, reference, truth)
    write_json(folder / "compare.json", result)
    leader = result["strategies"][0]
    message = f"{leader['name']} leads with {leader['mean'][-1]:.2%} of the best hypervolume"
    record(Event("compare", "end", message=message))
    return result


def _device(pipeline: Pipeline, seed: int, workers: int) -> Pipeline:
    threads = pipeline.device.threads or max(1, cores() // workers)
    device = pipeline.device.model_copy(update={"threads": threads})
    return pipeline.model_copy(update={"seed": pipeline.seed + seed, "device": device})


def _truth(run: Run) -> np.ndarray | None:
    """The objectives of every network, as values to minimise, shape ``[n, n_objectives]``."""
    known = run.estimator.truth()
    if known is None or any(o.name not in known for o in run.objectives):
        return None
    return np.stack([o.sign * known[o.name] for o in run.objectives], axis=1)


def _reference(objectives: Objectives, truth: np.ndarray) -> dict[str, float]:
    """Limits; elsewhere a tenth of the range beyond the worst."""
    low, high = truth.min(axis=0), truth.max(axis=0)
    return {
        o.name: o.sign * (a + _REACH * (b - a)) if o.limit is None else o.limit
        for o, a, b in zip(objectives, low, high, strict=True)
    }


def _result(
    run: Run,
    pipelines: Mapping[str, Pipeline],
    folder: Path,
    seeds: int,
    reference: Mapping[str, float],
    truth: np.ndarray | None,
) -> dict[str, Any]:
    found = {
        name: [read_json(folder / name / f"seed-{seed}" / "search.json") for seed in range(seeds)]
        for name in pipelines
    }
    budget = next(iter(pipelines.values())).search.evaluations
    members = [v for searches in found.values() for s in searches for v in s["front"]]
    best = _best(run.objectives, reference, np.array(members) if truth is None else truth)
    shares = {n: curves(folder / n, seeds, budget) / (best or 1.0) for n in pipelines}
    baseline = next(n for n, p in pipelines.items() if p.search.name == BASELINE)
    rows = ranking(shares, baseline)
    for row in rows:
        searches = found[row["name"]]
        row["search"] = pipelines[row["name"]].search.model_dump()
        row["trials"] = sum(s["trials"] for s in searches)
        row["failed"] = sum(s["failed"] for s in searches)
    return {
        "task": run.pipeline.task.model_dump(),
        "space": run.pipeline.space.model_dump(),
        "objectives": [o.to_json() for o in run.objectives],
        "reference": reference,
        "best": best,
        "exact": truth is not None,
        "budget": budget,
        "seeds": seeds,
        "baseline": baseline,
        "strategies": rows,
    }


def curves(folder: Path, seeds: int, budget: int) -> np.ndarray:
    """Hypervolume of a strategy's searches after each evaluation, ``[seeds, budget]``."""
    paths = [folder / f"seed-{seed}" / "search.json" for seed in range(seeds)]
    return np.stack([sampled(read_json(path)["curve"], budget) for path in paths])


def _best(objectives: Objectives, reference: Mapping[str, float], values: np.ndarray) -> float:
    """The hypervolume of the best of ``values``; what passes a limit is beyond the reference."""
    if not len(values):
        return 0.0
    kept = front(values, np.zeros(len(values)))
    return hypervolume(values[kept], objectives.values(reference))
