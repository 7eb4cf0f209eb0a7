"""A small space evaluated completely, as a tabular benchmark."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from math import isinf
from pathlib import Path

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.errors import FAILURES, HwnasError
from hwnas.core.estimator import Estimator
from hwnas.core.files import digest
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.tracker import Event
from hwnas.estimate import _columns
from hwnas.graph.fingerprint import fingerprint
from hwnas.pipeline._table_columns import about, learnt, measured
from hwnas.pipeline._table_training import Training
from hwnas.pipeline.config import Pipeline
from hwnas.pipeline.run import Run
from hwnas.space.moves import every, size
from hwnas.space.replay import build
from hwnas.track.store import Store

STAGES = ("space", "train", "profile")
MOST = 100_000  # networks; beyond it nobody trains them all
_INTERVAL = 2.0  # seconds between commits of what is quick to do again


def table(
    pipeline: Pipeline, out: Path, units: Sequence[int], record: Callable[[Event], None]
) -> Mapping[str, np.ndarray]:
    """Write the table ``out`` with a row for every network of the space; the columns of numbers.

    Networks are scored after each of ``units`` of training and after full training. With
    ``search.cache`` those of one fingerprint are trained once. A network that cannot be trained
    has NaN for what it was to learn. What is done is kept in a folder beside ``out`` until the
    table is written, so the same call goes on where a killed one was.
    """
    search = pipeline.search
    alone = search.model_copy(update={"cache": False})  # twins are found here, parents or not
    folder = out.with_suffix(".work")
    run = Run(pipeline.model_copy(update={"search": alone}), folder, out.stem, record)
    run.check()
    networks = _networks(run)
    levels = _levels(run.estimator, units)
    _trainable(run.estimator, levels, search.cache, run)
    key = _key(run, levels, search.cache)
    folder.mkdir(parents=True, exist_ok=True)
    with Store(folder / "table.db") as store:
        if (store.fact("key") or key) != key:
            raise HwnasError(
                f"{folder}: another table was begun here.",
                "Delete the folder, or name another --out.",
            )
        store.keep("key", key)
        twins = _twins(run, networks, store) if search.cache else list(range(len(networks)))
        estimator = run.trainer(keep=len(levels) > 1)
        try:
            trained = Training(run, networks, sorted(set(twins)), levels, store).run(estimator)
        finally:
            estimator.close()
        profiled = _profile(run, networks, store)
        columns = learnt(run, twins, levels, trained) | measured(run, profiled)
    texts = (json.dumps(a.to_json()) for a in networks)
    _columns.write(out, texts, columns, about(run, levels, columns))
    shutil.rmtree(folder)
    return columns


def _networks(run: Run) -> list[Architecture]:
    count = size(run.space, np.random.default_rng(run.pipeline.seed))
    # An estimate may be far off, but what is listed is counted.
    networks = [] if isinf(count.mean) else list(islice(every(run.space), MOST + 1))
    if isinf(count.mean) or len(networks) > MOST:
        raise HwnasError(
            f"space: it has {count} networks; a table holds at most {MOST:,}, all of them.",
            "Choose a smaller space, or options that leave less to choose.",
        )
    return networks


def _levels(estimator: Estimator, units: Sequence[int]) -> list[int]:
    """The units of training at which a network is scored, full training last."""
    full = estimator.units
    wrong = [u for u in units if not 1 <= u <= full]
    if wrong:
        raise HwnasError(
            f"--units: must be from 1 to {full}, those of full training, got {wrong[0]}.",
            "Training units are those of search.estimator, epochs of train.",
        )
    return sorted({*units, full})


def _trainable(estimator: Estimator, levels: Sequence[int], cache: bool, run: Run) -> None:
    """Refuse an estimator that cannot do it."""
    name = run.pipeline.search.estimator.name
    if not estimator.divisible:
        raise HwnasError(
            f"search.estimator: networks of {name} share weights, so what one is worth depends on"
            " when it is asked for.",
            "Use an estimator that trains networks alone, such as train.",
        )
    if len(levels) > 1 and "parent" not in estimator.provides:
        raise HwnasError(
            f"--units: estimator {name} cannot go on training a network after scoring it.",
            "Leave --units out, or use an estimator that provides parent, such as train.",
        )
    others = {m.name for m in estimator.metrics} - {m.name for m in run.task.metrics}
    if cache and others:
        raise HwnasError(
            f"search.cache: the estimator measures {', '.join(sorted(others))}, in which networks"
            " of the same function may differ.",
            "Use cache: false.",
        )


def _key(run: Run, levels: Sequence[int], cache: bool) -> str:
    """The same for tables that would be the same."""
    data = run.pipeline.model_dump(include={"task", "space", "objectives", "seed"})
    estimator = run.pipeline.search.estimator.model_dump()
    return digest([data, estimator, list(levels), cache, run.device.conditions()])


def _twins(run: Run, networks: Sequence[Architecture], store: Store) -> list[int]:
    """For each network the first one that computes the same."""
    found: list[int] | None = store.fact("twins")
    if found is None:
        run.record(Event("space", "start", total=len(networks)))
        first: dict[str, int] = {}
        found = []
        for i, architecture in enumerate(networks):
            try:
                key = fingerprint(build(run.space, architecture), training=True)
            except FAILURES:  # the estimator will say so
                key = str(i)
            found.append(first.setdefault(key, i))
            run.record(Event("space", "progress", i + 1, len(networks)))
        store.keep("twins", found)
    message = f"{len(networks):,} networks, {len(set(found)):,} of them different"
    run.record(Event("space", "end", message=message))
    return found


def _profile(
    run: Run, networks: Sequence[Architecture], store: Store
) -> Sequence[Mapping[str, float]]:
    """What profilers measure of each network; nothing of one that fails."""
    done = dict(store.samples())
    run.record(Event("profile", "start", len(done), len(networks)))
    fresh: list[Outcome] = []
    written = time.monotonic()
    failed = 0
    for i, architecture in enumerate(networks):
        if i in done:
            continue
        found: dict[str, float] = {}
        try:
            for profiler in run.search_profilers:
                found |= profiler.measure(architecture)
        except FAILURES:
            failed += 1
        done[i] = found
        fresh.append(Outcome(Proposal(i, architecture, 0, 0), found))
        if time.monotonic() - written > _INTERVAL or i + 1 == len(networks):
            store.commit(samples=fresh)
            fresh, written = [], time.monotonic()
        values = {"failed": failed}
        run.record(Event("profile", "progress", len(done), len(networks), values=values))
    run.record(Event("profile", "end", message=f"{len(networks):,} networks measured"))
    return [done[i] for i in range(len(networks))]
