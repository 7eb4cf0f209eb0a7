"""The store: all or nothing, and everything comes back."""

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from hwnas.core import Architecture, Mixture, Outcome, Proposal, Spent
from hwnas.track.store import Store

POINT = Architecture({"op": "conv", "inputs": (0, 2), "depth": 3, "bias": None})


def outcome(id: int, **fields: object) -> Outcome:
    metrics = {"error": 0.1 * id, "latency_ms": 1 / 3}
    spent = Spent(3, 30, 0.125)
    return Outcome(
        Proposal(id, POINT, 3, parent=7), metrics, spent=spent, curve=(1.5, 0.1), **fields
    )


def test_everything_comes_back(tmp_path: Path) -> None:
    trials = [outcome(2), outcome(0), Outcome(Proposal(1, POINT, 3), failed="no: 'reason'")]
    mixture = Mixture({"op": np.array([0.25, 0.75])}, {"op": (1,)})
    sample = Outcome(Proposal(5, mixture, 1, score=0, gradient=1), {"error": 2.5})
    with Store(tmp_path / "trials.db") as store:
        assert store.snapshot() is None
        assert store.fact("reference") is None
        store.commit(trials, [sample], [(1, 0.0), (2, 0.5)], (5, "state"))
        store.keep("reference", {"error": 1.0})
    with Store(tmp_path / "trials.db") as store:
        assert store.trials() == sorted(trials, key=lambda o: o.proposal.id)
        assert store.samples() == [(5, {"error": 2.5})]
        assert store.curve() == [(1, 0.0), (2, 0.5)]
        assert store.snapshot() == (5, "state")
        assert store.fact("reference") == {"error": 1.0}


def test_again_replaces(tmp_path: Path) -> None:
    with Store(tmp_path / "trials.db") as store:
        store.commit([outcome(0)], snapshot=(0, "a"))
        store.commit([outcome(0, failed="no")], snapshot=(1, "b"))
        store.keep("k", 1)
        store.keep("k", 2)
        assert [o.failed for o in store.trials()] == ["no"]
        assert store.snapshot() == (1, "b")
        assert store.fact("k") == 2


def test_all_or_nothing(tmp_path: Path) -> None:
    with Store(tmp_path / "trials.db") as store:
        store.commit([outcome(0)], curve=[(1, 0.5)], snapshot=(0, "before"))
        with pytest.raises(TypeError):
            store.commit([outcome(1)], [Outcome(Proposal(2, POINT, 1), {"x": object()})])  # type: ignore[dict-item]
        with pytest.raises(sqlite3.Error):
            store.commit([outcome(1)], curve=[(2, 0.6)], snapshot=(1, object()))  # type: ignore[arg-type]
        assert len(store.trials()) == 1
        assert store.curve() == [(1, 0.5)]
        assert store.snapshot() == (0, "before")
        store.commit([outcome(1)])  # and it works on
        assert len(store.trials()) == 2


def test_readers_see_whole_transactions_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "trials.db"
    with Store(path) as store:
        store.commit([outcome(0)], snapshot=(0, "a"))
        store._db.execute("BEGIN IMMEDIATE")
        store._db.execute("DELETE FROM trials")
        with Store(path) as reader:
            assert len(reader.trials()) == 1
        store._db.execute("ROLLBACK")
        assert json.loads(store._db.execute("SELECT metrics FROM trials").fetchone()[0])
