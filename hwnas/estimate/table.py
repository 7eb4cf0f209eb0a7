"""Looking networks up in a tabular benchmark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.errors import HwnasError
from hwnas.core.estimator import Estimator
from hwnas.core.metric import Metric
from hwnas.core.outcome import Outcome, Spent
from hwnas.core.proposal import Proposal
from hwnas.core.registry import nearest
from hwnas.core.setting import Setting
from hwnas.core.space import Space
from hwnas.estimate import _columns
from hwnas.estimate._mapping import Column, curve_of, metric_of, own_columns
from hwnas.space.moves import sample

SHIPPED = Path(__file__).parent / "tables"
_PROBES = 20  # random networks of the space, one of which must be in the table


class Table(Estimator):
    """Every network was trained before: its metrics are looked up in a ``file`` of columns.

    ``file`` is an ``.npz`` or the name of a table that ships with hwnas; its column ``rows`` says
    which network each row is. ``metrics`` maps metrics to columns, by default each column to its
    own: ``error: {12: val_12, 200: val_200}`` after 12 and 200 units of training,
    ``{column: val, scale: -0.01, offset: 1}`` for an accuracy in per cent. Metrics of the task are
    expensive, all others ``cheap`` (known before training) unless told otherwise. A network
    trained for less than full is worth what the last column up to there says.
    """

    paper = "Dong & Yang 2020, NAS-Bench-201, arXiv:2001.00326; Li et al. 2021, HW-NAS-Bench"
    provides = frozenset({"parent", "inherit"})

    def __init__(
        self,
        setting: Setting,
        *,
        file: str = "digits",
        metrics: dict[str, Column] | None = None,
        rows: str = _columns.ROWS,
    ) -> None:
        super().__init__(setting)
        path = _path(file)
        modified = path.stat().st_mtime_ns
        columns, about = _read(path, modified)
        self._rows = _networks(path, modified, rows, setting.space)
        rng = np.random.default_rng(0)
        if not any(sample(setting.space, rng) in self._rows for _ in range(_PROBES)):
            raise HwnasError(
                f"estimator.file: {path} has no networks of this space; its first row is"
                f" {next(iter(self._rows), 'missing')!r}.",
                "Take the space that the table was made for, or make one: hwnas table --help",
            )
        mapping = metrics or own_columns(columns, rows, about)
        if not mapping:
            raise HwnasError(f"estimator.metrics: {path} has no column of numbers.")
        known = {metric.name: metric for metric in setting.task.metrics}
        told = {o["metric"]: o for o in about.get("objectives", ())}
        self._values: dict[str, dict[int, np.ndarray]] = {}
        defined = []
        for name, column in mapping.items():
            self._values[name] = curve_of(columns, column, f"estimator.metrics.{name}")
            defined.append(metric_of(name, column, known.get(name), told.get(name, {})))
        self._metrics = tuple(defined)
        self.units = max(u for values in self._values.values() for u in values)
        self._spent: dict[int, tuple[Architecture, int]] = {}
        self._journal = setting.folder / "table.jsonl" if setting.keep and setting.folder else None
        self._recall()

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those mapped, in their order."""
        return self._metrics

    def costs(self, architecture: Architecture) -> Mapping[str, float]:
        """The cheap metrics."""
        row = self._row(architecture)
        return {m.name: self._value(m.name, row, self.units) for m in self._metrics if m.cheap}

    def truth(self) -> Mapping[str, np.ndarray]:
        """Metrics after full training of the networks that have them all."""
        full = {name: values[max(values)] for name, values in self._values.items()}
        whole = np.isfinite(np.stack(list(full.values()))).all(axis=0)
        return {name: values[whole] for name, values in full.items()}

    def _estimate(self, proposal: Proposal) -> Outcome:
        point = proposal.point
        if not isinstance(point, Architecture):
            raise HwnasError("estimator table knows networks, not mixtures.")
        row = self._row(point)
        train = proposal.train
        if proposal.parent is not None:
            if proposal.parent not in self._spent:
                raise HwnasError(f"there is no network of proposal {proposal.parent}.")
            parent, before = self._spent[proposal.parent]
            # Weights of another network are worth nothing here: no table knows their effect.
            train += before if parent == point else 0
        metrics = {} if proposal.score == 0 else self._scores(row, train)
        self._remember(proposal.id, point, train)
        return Outcome(proposal, metrics, spent=Spent(train))

    def _scores(self, row: int, train: int) -> dict[str, float]:
        found = {name: self._value(name, row, train) for name in self._values}
        unknown = [name for name, value in found.items() if not np.isfinite(value)]
        if unknown:
            raise HwnasError(f"the table has no {', '.join(unknown)} of this network.")
        return found

    def _row(self, architecture: Architecture) -> int:
        if architecture not in self._rows:
            raise HwnasError(f"the table has no network {dict(architecture)}.")
        return self._rows[architecture]

    def _value(self, name: str, row: int, train: int) -> float:
        values = self._values[name]
        if len(values) == 1:  # does not depend on training
            return float(next(iter(values.values()))[row])
        reached = [units for units in values if units <= train]
        if not reached:
            raise HwnasError(
                f"the table has no {name} after {train} units of training.",
                f"It has them after {', '.join(map(str, sorted(values)))}.",
            )
        return float(values[max(reached)][row])

    def _remember(self, id: int, architecture: Architecture, train: int) -> None:
        self._spent[id] = architecture, train
        if self._journal is not None:
            self._journal.parent.mkdir(parents=True, exist_ok=True)
            with self._journal.open("a") as file:
                file.write(json.dumps([id, architecture.to_json(), train]) + "\n")

    def _recall(self) -> None:
        if self._journal is None or not self._journal.exists():
            return
        for line in self._journal.read_text().splitlines():
            try:
                id, architecture, train = json.loads(line)
            except ValueError:  # cut off by a kill; its outcome was never given
                continue
            self._spent[id] = Architecture.from_json(architecture), train


def _path(file: str) -> Path:
    path = Path(file).expanduser()
    if not path.suffix:
        shipped = {p.stem: p for p in SHIPPED.glob("*.npz")}
        if file not in shipped:
            raise HwnasError(
                f"estimator.file: no table called {file!r} ships with hwnas.",
                nearest(file, list(shipped)),
            )
        return shipped[file]
    if not path.is_file():
        raise HwnasError(
            f"estimator.file: there is no {path}.",
            "Name a table that is there, or make one: hwnas table PIPELINE.yaml --out FILE.npz",
        )
    return path


@lru_cache(maxsize=4)
def _read(path: Path, _modified: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    return _columns.read(path)


@lru_cache(maxsize=4)
def _networks(path: Path, modified: int, column: str, space: Space) -> dict[Architecture, int]:
    """The row of every network."""
    columns, _ = _read(path, modified)
    if column not in columns or columns[column].dtype.kind not in "SU":
        raise HwnasError(
            f"estimator.rows: {path} has no column of text called {column!r}.",
            nearest(column, [name for name, c in columns.items() if c.dtype.kind in "SU"]),
        )
    texts = (t.decode() if isinstance(t, bytes) else str(t) for t in columns[column].tolist())
    return {space.parse(text): row for row, text in enumerate(texts)}
