"""The truth about a search: one SQLite file."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwnas.core.outcome import Outcome, Spent
from hwnas.core.proposal import Proposal

_SCHEMA = """
CREATE TABLE IF NOT EXISTS trials (
    id INTEGER PRIMARY KEY, proposal TEXT NOT NULL, metrics TEXT NOT NULL, spent TEXT NOT NULL,
    curve TEXT NOT NULL, failed TEXT);
CREATE TABLE IF NOT EXISTS curve (evaluations INTEGER PRIMARY KEY, hypervolume REAL NOT NULL);
CREATE TABLE IF NOT EXISTS samples (id INTEGER PRIMARY KEY, metrics TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS diagnostics (id INTEGER PRIMARY KEY, numbers TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS snapshot (
    only INTEGER PRIMARY KEY CHECK (only = 0), last INTEGER NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Store:
    """Trials, the hypervolume curve, sampled metrics of training steps, and one snapshot.

    A trial and the snapshot that knows it are one transaction (write-ahead log), so a killed
    process leaves the file as it was after some transaction. Use as a context manager.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")  # safe against kill, not power loss
        self._db.executescript(_SCHEMA)

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def commit(
        self,
        trials: Sequence[Outcome] = (),
        samples: Sequence[Outcome] = (),
        curve: Sequence[tuple[int, float]] = (),
        snapshot: tuple[int, str] | None = None,
        diagnostics: Sequence[tuple[int, Mapping[str, float]]] = (),
    ) -> None:
        """Write all of it or none. ``snapshot`` is (last proposal told, state)."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany("REPLACE INTO trials VALUES (?,?,?,?,?,?)", map(_row, trials))
            rows = ((o.proposal.id, json.dumps(dict(o.metrics))) for o in samples)
            db.executemany("REPLACE INTO samples VALUES (?,?)", rows)
            db.executemany("REPLACE INTO curve VALUES (?,?)", curve)
            numbers = ((id, json.dumps(dict(found))) for id, found in diagnostics)
            db.executemany("REPLACE INTO diagnostics VALUES (?,?)", numbers)
            if snapshot is not None:
                db.execute("REPLACE INTO snapshot VALUES (0,?,?)", snapshot)
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def trials(self) -> list[Outcome]:
        """Every trial in the order of its proposal."""
        query = "SELECT proposal, metrics, spent, curve, failed FROM trials ORDER BY id"
        return [
            Outcome(
                Proposal.from_json(json.loads(proposal)),
                json.loads(metrics),
                spent=Spent(*json.loads(spent)),
                curve=tuple(json.loads(curve)),
                failed=failed,
            )
            for proposal, metrics, spent, curve, failed in self._db.execute(query)
        ]

    def samples(self) -> list[tuple[int, Mapping[str, float]]]:
        """(proposal id, metrics) of the training steps between trials."""
        rows = self._db.execute("SELECT id, metrics FROM samples ORDER BY id")
        return [(id, json.loads(metrics)) for id, metrics in rows]

    def diagnostics(self) -> list[tuple[int, Mapping[str, float]]]:
        """(proposal id, what the strategy told of itself then)."""
        rows = self._db.execute("SELECT id, numbers FROM diagnostics ORDER BY id")
        return [(id, json.loads(numbers)) for id, numbers in rows]

    def curve(self) -> list[tuple[int, float]]:
        """(evaluations, hypervolume) after each trial."""
        rows = self._db.execute("SELECT evaluations, hypervolume FROM curve ORDER BY evaluations")
        return [(int(n), float(hv)) for n, hv in rows]

    def snapshot(self) -> tuple[int, str] | None:
        """(last proposal told, state), or None before the first."""
        row = self._db.execute("SELECT last, state FROM snapshot").fetchone()
        return None if row is None else (int(row[0]), str(row[1]))

    def fact(self, name: str) -> Any:
        """A JSON value kept by name, or None."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def keep(self, name: str, value: Any) -> None:
        """Keep a JSON value by name."""
        self._db.execute("REPLACE INTO facts VALUES (?,?)", (name, json.dumps(value)))


def _row(outcome: Outcome) -> tuple[Any, ...]:
    spent = outcome.spent
    return (
        outcome.proposal.id,
        json.dumps(outcome.proposal.to_json()),
        json.dumps(dict(outcome.metrics)),
        json.dumps([spent.train, spent.steps, spent.seconds]),
        json.dumps(outcome.curve),
        outcome.failed,
    )
