"""A killed search, resumed, ends as an undisturbed one."""

import sqlite3
from pathlib import Path

import pytest

from tests.e2e.kill import SEARCHES, finish, hwnas, interrupted, last, pipeline, trials


def _compare(tmp_path: Path, name: str, kills: int, evaluations: int) -> None:
    path = pipeline(tmp_path, evaluations=evaluations, **SEARCHES[name])
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish("space", path, "--out", whole)
    finish("search", path, "--out", whole)
    finish("space", path, "--out", broken)
    struck = interrupted(path, broken, kills, seed=kills)
    assert struck >= kills * 0.8, f"only {struck} of {kills} kills came before the end"
    assert trials(broken) == trials(whole)


@pytest.mark.slow
def test_three_kills_change_nothing(tmp_path: Path) -> None:
    _compare(tmp_path, "nsga2", kills=3, evaluations=40)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHES)
def test_twenty_kills_change_nothing(tmp_path: Path, name: str) -> None:
    _compare(tmp_path, name, kills=20, evaluations=160)


@pytest.mark.slow
def test_what_was_measured_before_a_kill_is_kept(tmp_path: Path) -> None:
    path = pipeline(tmp_path, evaluations=12)
    text = path.read_text().replace("metric: flops", "metric: latency_ms")
    path.write_text(text)
    folder = tmp_path / "run"
    finish("space", path, "--out", folder)
    process = hwnas("search", path, "--out", folder, "--resume")
    while process.poll() is None and last(folder) < 4:
        pass
    process.kill()
    process.wait()
    with sqlite3.connect(folder / "trials.db") as db:
        before = dict(db.execute("SELECT id, metrics FROM trials"))
    assert 4 <= len(before) < 12
    finish("search", path, "--out", folder, "--resume")
    with sqlite3.connect(folder / "trials.db") as db:
        after = dict(db.execute("SELECT id, metrics FROM trials"))
    assert len(after) == 12
    assert {id: after[id] for id in before} == before
