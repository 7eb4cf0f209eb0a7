"""A small space evaluated completely, as a tabular benchmark."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from math import isinf
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.errors import FAILURES, HwnasError
from hwnas.core.estimator import Estimator
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.tracker import Event
from hwnas.estimate import _columns
from hwnas.graph.fingerprint import fingerprint
from hwnas.pipeline.config import Pipeline
from hwnas.pipeline.files import digest
from hwnas.pipeline.run import Run
from hwnas.profile.conditions import conditions
from hwnas.space.moves import every, size
from hwnas.space.replay import build
from hwnas.track.store import Store

STAGES = ("space", "train", "profile")
MOST = 100_000  # networks; beyond it nobody trains them all
_HOPELESS = 10  # if so many networks fail and none works, there is a mistake in the pipeline
_INTERVAL = 2.0  # seconds between commits of what is quick to do again

Record = Callable[[Event], None]


def table(
    pipeline: Pipeline, out: Path, units: Sequence[int], record: Record
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
            trained = _Training(run, networks, sorted(set(twins)), levels, store).run(estimator)
        finally:
            estimator.close()
        measured = _profile(run, networks, store)
        columns = _learnt(run, twins, levels, trained) | _measured(run, measured)
    texts = (json.dumps(a.to_json()) for a in networks)
    _columns.write(out, texts, columns, _about(run, levels, columns))
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


class _Training(Iterator[Proposal]):
    """Networks as proposals, each taken to the next level of training as soon as it has one.

    May have more to give after an outcome. Network ``i`` at level ``k`` is proposal
    ``i * len(levels) + k``, so that its seed does not depend on what was done before.
    """

    def __init__(
        self,
        run: Run,
        networks: Sequence[Architecture],
        chosen: Sequence[int],
        levels: Sequence[int],
        store: Store,
    ) -> None:
        self._run = run
        self._networks = networks
        self._levels = levels
        self._store = store
        self._total = len(chosen)
        self._done: dict[int, list[Outcome]] = {}
        for outcome in store.trials():
            self._done.setdefault(outcome.proposal.id // len(levels), []).append(outcome)
        self._failed = sum(o[-1].failed is not None for o in self._done.values())
        self._new = iter([i for i in chosen if i not in self._done])
        self._ready: list[Proposal] = []
        self._begun: dict[int, list[Outcome]] = {}

    def run(self, estimator: Estimator) -> Mapping[int, Sequence[Outcome]]:
        """The outcomes of each network, those of higher levels last."""
        values = {"failed": self._failed}
        self._run.record(Event("train", "start", len(self._done), self._total, values=values))
        while (before := len(self._done)) < self._total:
            for outcome in estimator.estimate(self):
                self._take(outcome)
            if len(self._done) == before:
                raise RuntimeError("the estimator has left networks undone")
        failed = f", {self._failed:,} failed" if self._failed else ""
        message = f"{self._total:,} networks trained{failed}"
        self._run.record(Event("train", "end", message=message))
        return self._done

    def __next__(self) -> Proposal:
        if self._ready:
            return self._ready.pop(0)
        network = next(self._new)
        self._begun[network] = []
        return self._proposal(network, 0)

    def _proposal(self, network: int, level: int) -> Proposal:
        id = network * len(self._levels) + level
        reached = self._levels[level - 1] if level else 0
        train = self._levels[level] - reached
        return Proposal(id, self._networks[network], train, parent=id - 1 if level else None)

    def _take(self, outcome: Outcome) -> None:
        network, level = divmod(outcome.proposal.id, len(self._levels))
        wrong = [f"{n} is {v}" for n, v in outcome.metrics.items() if not math.isfinite(v)]
        if outcome.failed is None and wrong:
            outcome = Outcome(outcome.proposal, spent=outcome.spent, failed=wrong[0])
        outcomes = self._begun[network]
        outcomes.append(outcome)
        if outcome.failed is None and level + 1 < len(self._levels):
            self._ready.append(self._proposal(network, level + 1))
            return
        self._store.commit(trials=outcomes)
        self._done[network] = self._begun.pop(network)
        for past in outcomes:  # weights of a whole space would fill the disk
            for path in (self._run.folder / "search").glob(f"*/{past.proposal.id}.*"):
                path.unlink()
        self._failed += outcome.failed is not None
        values = {"failed": self._failed}
        self._run.record(Event("train", "progress", len(self._done), self._total, values=values))
        if len(self._done) == self._failed and self._failed >= min(_HOPELESS, self._total):
            raise HwnasError(
                f"all of the first {self._failed} networks failed; the last: {outcome.failed}",
                f"Mend the cause, delete {self._run.folder} and begin again.",
            )


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


def _learnt(
    run: Run,
    twins: Sequence[int],
    levels: Sequence[int],
    trained: Mapping[int, Sequence[Outcome]],
) -> dict[str, np.ndarray]:
    """A column for each metric of the estimator, and for each level below full training."""
    columns = {}
    for metric in run.estimator.metrics:
        for level, units in enumerate(levels):
            full = level + 1 == len(levels)
            if metric.cheap and not full:
                continue
            values = {
                network: outcomes[level].metrics.get(metric.name, math.nan)
                for network, outcomes in trained.items()
                if level < len(outcomes)
            }
            column = np.array([values.get(network, math.nan) for network in twins])
            name = metric.name if full else f"{metric.name}@{units}"
            columns[name] = _compact(column) if metric.cheap else column.astype(np.float32)
    return columns


def _measured(run: Run, measured: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    names = [m.name for profiler in run.search_profilers for m in profiler.metrics]
    return {
        name: _compact(np.array([found.get(name, math.nan) for found in measured]))
        for name in names
    }


def _compact(column: np.ndarray) -> np.ndarray:
    """Counts as the integers they are."""
    whole = np.isfinite(column).all() and (column == np.round(column)).all()
    return column.astype(np.int64 if whole else np.float32)


def _about(run: Run, levels: Sequence[int], columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    metrics = [*run.estimator.metrics, *(m for p in run.search_profilers for m in p.metrics)]
    whole = np.isfinite(np.stack([column.astype(float) for column in columns.values()])).all(axis=0)
    return {
        "units": levels[-1],
        "task": run.pipeline.task.model_dump(),
        "space": run.pipeline.space.model_dump(),
        "estimator": run.pipeline.search.estimator.model_dump(),
        "objectives": [m.to_json() for m in metrics],
        "seed": run.pipeline.seed,
        "failed": int((~whole).sum()),
        "conditions": {**conditions(), **run.device.conditions()},
    }
