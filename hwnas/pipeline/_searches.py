"""The searches of a comparison, each in a folder of its own."""

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import accumulate
from pathlib import Path

from hwnas.core.errors import HwnasError
from hwnas.core.files import read_json, write_json
from hwnas.pipeline.archive import Archive
from hwnas.pipeline.config import Pipeline
from hwnas.pipeline.driver import Driver
from hwnas.pipeline.price import Price, prices
from hwnas.pipeline.run import Run
from hwnas.track.store import Store

SAME = ("task", "space", "objectives", "device")
"""The sections that must not differ."""

Job = tuple[str, Pipeline, Path, Mapping[str, float]]
"""What the search is called, its pipeline, its folder, and the reference point."""


def searches(jobs: Sequence[Job], workers: int) -> Iterator[None]:
    """Do them, so many at a time; one item each, as it ends."""
    if workers == 1:
        yield from map(_search, jobs)
        return
    spawn = multiprocessing.get_context("spawn")  # a fork would copy running threads
    with ProcessPoolExecutor(workers, spawn) as pool:
        try:
            for future in as_completed([pool.submit(_search, job) for job in jobs]):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_first: list[Run] = []  # of this process: its task, space and table serve all searches


def _search(job: Job) -> None:
    """Search, or go on with it, unless it is finished; keep its curve in ``search.json``."""
    name, pipeline, folder, reference = job
    _claim(pipeline, folder)
    if (folder / "search.json").exists():
        return
    known = [r for r in _first if all(getattr(r.pipeline, s) == getattr(pipeline, s) for s in SAME)]
    run = Run(pipeline, folder, name, lambda _: None, extras=False)
    if known:
        run = sibling(known[0], name, pipeline, folder)
    else:
        _first[:] = [run]
    strategy, estimator = run.searchers()
    price = strategy.context.price = Price(estimator.units)
    archive = Archive(run.objectives, estimator.units, reference)
    try:
        with Store(folder / "trials.db") as store:
            driver = Driver(strategy, estimator, run.search_profilers, archive, store, sparing=True)
            driver.resume()
            asked = {o.proposal.id: o.proposal for o in store.trials()} | strategy.pending
            for id in sorted(i for i in asked if i < strategy.context.next_id):
                price(asked[id])
            driver.run()
    finally:
        estimator.close()
    spent = accumulate(prices(archive.trials, estimator.units))
    values = [v for _, v in archive.curve]
    rises = [
        (at, value)
        for at, value, before in zip(spent, values, [0.0, *values[:-1]], strict=True)
        if value > before
    ]
    write_json(
        folder / "search.json",
        {
            "curve": rises,
            "front": [run.objectives.values(o.metrics).tolist() for o in archive.front],
            "trials": len(archive.trials),
            "failed": archive.failed,
        },
    )


def _claim(pipeline: Pipeline, folder: Path) -> None:
    """Refuse a folder in which another search was begun."""
    path, plan = folder / "pipeline.json", pipeline.model_dump(mode="json")
    del plan["device"]["threads"], plan["tracking"]
    if path.exists() and read_json(path) != plan:
        raise HwnasError(
            f"{folder}: this search was begun with another pipeline, budget or seed.",
            "Name another --out, or compare again what was compared there.",
        )
    write_json(path, plan)


def sibling(run: Run, name: str, pipeline: Pipeline, folder: Path) -> Run:
    """A run of the same task and space, which are not built again."""
    other = Run(pipeline, folder, name, lambda _: None, extras=False)
    other.task, other.space = run.task, run.space
    return other
