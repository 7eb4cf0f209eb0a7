"""A search as MLflow runs: a parent for the pipeline, a child for each trial."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hwnas.core.outcome import Outcome
from hwnas.track._mlflow_client import METRICS, PARAMS, VALUE, opened
from hwnas.track._series import series
from hwnas.track.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

_FACT = "mlflow"  # in the store: uri -> id of the parent run
_KEY, _TAG = 250, 5000  # characters, by MLflow's limits
_ARTIFACTS = (
    "pipeline.yaml", "space.json", "front.json", "network.svg",
    "export/front.png", "export/hypervolume.png", "export/report.html",
)  # fmt: skip


class Runs:
    """Writes what a run folder holds and MLflow has not got yet.

    MLflow itself is asked what it has. Nothing is kept but the id of the parent run, so what was
    interrupted anywhere, or lost with the database, is mirrored by the next :meth:`sync`. All
    methods may raise whatever MLflow raises; make a new object then. Not for several threads.
    """

    def __init__(self, uri: str, experiment: str, folder: Path, name: str) -> None:
        self._folder = folder
        self.client, self.uri, self.experiment_id = opened(uri, experiment)
        run = self._parent(name)
        self.run_id = str(run.info.run_id)
        self._last: dict[str, int] = {}  # metric of the parent -> last step that MLflow has
        self._logged = dict.fromkeys(run.data.metrics, True)
        self._children: dict[int, _Child] = {}
        self._front: dict[int, bool] = {}
        self._sent: dict[str, tuple[int, int]] = {}  # artefact -> its time and size
        for child in self._find_children():
            trial = int(child.data.tags["trial"])
            self._children[trial] = _Child(child)
            self._front[trial] = child.data.tags.get("on_front") == "true"

    def sync(self) -> None:
        """Mirror what is new."""
        front = _read(self._folder / "front.json")
        on_front = {t["id"] for t in front.get("trials", ()) if t["front"]}
        with Store(self._folder / "trials.db") as store:
            trials, samples = store.trials(), store.samples()
        for outcome in trials:
            child = self._children.get(outcome.proposal.id)
            if child is None or not child.complete:
                self._trial(outcome, child, outcome.proposal.id in on_front)
        for name in sorted({name for _, metrics in samples for name in metrics}):
            points = [(id, m[name]) for id, m in samples if name in m]
            self._points(f"sampled/{name}", points)
        for name, points in series(front).items():
            self._points(name, points)
        for trial in [t for t, was in self._front.items() if was != (t in on_front)]:
            now = trial in on_front
            self.client.set_tag(self._children[trial].run_id, "on_front", str(now).lower())
            self._front[trial] = now
        self._artifacts()

    def end(self, status: str) -> None:
        """Close the parent run as ``FINISHED``, ``FAILED`` or ``KILLED``."""
        self.client.set_terminated(self.run_id, status)

    def _parent(self, name: str) -> Run:
        """The parent run of an earlier process, as long as MLflow still has it, or a new one."""
        from mlflow.exceptions import MlflowException

        with Store(self._folder / "trials.db") as store:
            known = store.fact(_FACT) or {}
            if self.uri in known:
                try:
                    run = self.client.get_run(known[self.uri])
                except MlflowException as error:
                    if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                        raise
                else:
                    here = run.info.experiment_id == self.experiment_id
                    if here and run.info.lifecycle_stage == "active":
                        self.client.update_run(run.info.run_id, status="RUNNING")
                        return run
            tags = {"hwnas.folder": str(self._folder.resolve())}
            run = self.client.create_run(self.experiment_id, run_name=name, tags=tags)
            store.keep(_FACT, {**known, self.uri: run.info.run_id})
        pipeline = self._folder / "pipeline.yaml"
        if pipeline.exists():
            params = dict(_flat(yaml.safe_load(pipeline.read_text())))
            self._params(run.info.run_id, params)
        return run

    def _find_children(self) -> Iterator[Run]:
        token: str | None = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
                f"tags.`mlflow.parentRunId` = '{self.run_id}'",
                max_results=1000,
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return

    def _trial(self, outcome: Outcome, child: _Child | None, on_front: bool) -> None:
        from mlflow.entities import Metric

        id, point, spent = outcome.proposal.id, outcome.proposal.point, outcome.spent
        end = int(time.time() * 1000)
        if child is None:
            tags = {
                "mlflow.parentRunId": self.run_id,
                "trial": str(id),
                "on_front": str(on_front).lower(),
            }
            if outcome.failed is not None:
                tags["failed"] = outcome.failed[:_TAG]
            run = self.client.create_run(
                self.experiment_id,
                start_time=end - int(spent.seconds * 1000),
                tags=tags,
                run_name=f"trial {id}",
            )
            child = self._children[id] = _Child(run)
        # The time of the start, not of now, so that what is sent twice is kept once.
        run_id, at = child.run_id, child.start
        figures = {
            **outcome.metrics,
            "train_units": spent.train,
            "train_steps": spent.steps,
            "train_seconds": spent.seconds,
        }
        metrics = [Metric(_name(k), float(v), at, 0) for k, v in figures.items()]
        self._params(run_id, point.to_json(), metrics)
        self.client.set_terminated(run_id, "FINISHED" if outcome.failed is None else "FAILED", end)
        self._front[id] = on_front
        child.complete = True

    def _params(self, run_id: str, values: Mapping[str, Any], metrics: Sequence[Any] = ()) -> None:
        from mlflow.entities import Param

        named = {_name(k): Param(_name(k), _text(v)) for k, v in values.items()}
        params = list(named.values())
        self.client.log_batch(run_id, metrics=metrics, params=params[:PARAMS])
        for start in range(PARAMS, len(params), PARAMS):
            self.client.log_batch(run_id, params=params[start : start + PARAMS])

    def _points(self, name: str, points: Iterable[tuple[int, float]]) -> None:
        """Add the points of a curve of the parent after the last that MLflow has."""
        from mlflow.entities import Metric

        name = _name(name)
        if name not in self._last:
            known = (
                self.client.get_metric_history(self.run_id, name) if name in self._logged else ()
            )
            self._last[name] = max((m.step for m in known), default=-1)
        now = int(time.time() * 1000)
        new = [Metric(name, v, now, step) for step, v in points if step > self._last[name]]
        for start in range(0, len(new), METRICS):
            batch = new[start : start + METRICS]
            self.client.log_batch(self.run_id, metrics=batch)
            self._last[name] = batch[-1].step

    def _artifacts(self) -> None:
        for name in _ARTIFACTS:
            path = self._folder / name
            if not path.exists():
                continue
            stat = path.stat()
            if self._sent.get(name) != (stat.st_mtime_ns, stat.st_size):
                self.client.log_artifact(self.run_id, str(path))
                self._sent[name] = stat.st_mtime_ns, stat.st_size


class _Child:
    """The run of a trial; incomplete if it was made but not all of it written."""

    def __init__(self, run: Run) -> None:
        self.run_id: str = run.info.run_id
        self.start: int = run.info.start_time
        self.complete: bool = run.info.status != "RUNNING"


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves by their path, e.g. ``search.estimator.epochs``."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for i, inner in enumerate(value):
            yield from _flat(inner, f"{prefix}.{i}")
    else:
        yield prefix, value


def _name(name: str) -> str:
    return re.sub(r"[^\w\-./ :]", "_", name)[:_KEY]


def _text(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text[:VALUE]


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found
