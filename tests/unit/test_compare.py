"""Strategies compared on a table."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwnas.core import HwnasError
from hwnas.core.pareto import hypervolume
from hwnas.core.tracker import Event
from hwnas.estimate import _columns
from hwnas.pipeline.compare import compare, contest, with_strategy
from hwnas.pipeline.config import Pipeline
from hwnas.track.compare_picture import compare_picture
from hwnas.track.store import Store
from tests.unit import small_table


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    file = small_table.write(tmp_path / "small.npz")
    return Pipeline.model_validate(
        {
            "task": {"name": "digits"},
            "space": {"name": "size", "channels": small_table.CHANNELS},
            "objectives": [{"metric": "error"}, {"metric": "work"}],
            "search": {
                "name": "aging",
                "population": 4,
                "sample": 2,
                "evaluations": 12,
                "estimator": {"name": "table", "file": str(file)},
            },
        }
    )


def silent(_: Event) -> None:
    pass


def test_random_is_added_and_the_shares_are_of_the_best(pipeline: Pipeline, tmp_path: Path) -> None:
    entrants = contest({"aging": pipeline}, None)
    assert {n: p.search.name for n, p in entrants.items()} == {"aging": "aging", "random": "random"}
    result = compare(entrants, tmp_path / "out", 3, 1, silent)
    assert result == json.loads((tmp_path / "out" / "compare.json").read_text())
    columns, _ = _columns.read(tmp_path / "small.npz")
    values = np.stack([columns["error"], columns["work"]], axis=1).astype(float)
    low, high = values.min(axis=0), values.max(axis=0)
    reference = low + 1.1 * (high - low)
    assert result["reference"] == pytest.approx({"error": reference[0], "work": reference[1]})
    assert result["best"] == pytest.approx(hypervolume(values, reference))
    assert result["exact"]
    for row in result["strategies"]:
        assert len(row["mean"]) == 12
        assert row["mean"] == sorted(row["mean"])
        assert 0.3 < row["mean"][-1] <= 1
        assert len(row["final"]) == 3
    picture = tmp_path / "compare.png"
    compare_picture(result, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_whole_table_is_all_of_the_best(pipeline: Pipeline, tmp_path: Path) -> None:
    """A budget of every network, repeats being nearly free, finds the whole front."""
    result = compare(contest({"aging": pipeline}, 32), tmp_path, 1, 1, silent)
    random = next(row for row in result["strategies"] if row["name"] == "random")
    assert random["mean"][-1] == pytest.approx(1.0)
    assert random["trials"] > 32


def test_fractions_of_a_training_are_fractions_of_an_evaluation(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    search = {"name": "hyperband", "eta": 3}
    data = pipeline.model_dump()
    data["search"] = search | {k: data["search"][k] for k in ("estimator", "evaluations")}
    data["search"]["estimator"]["metrics"] = {"error": {1: "error@3", 3: "error@3", 9: "error"},
                                              "work": "work"}  # fmt: skip
    data["search"]["evaluations"] = 6
    result = compare(contest({"hyperband": Pipeline.model_validate(data)}, None), tmp_path, 1, 1,
                     silent)  # fmt: skip
    (row,) = (row for row in result["strategies"] if row["name"] == "hyperband")
    assert row["trials"] > 12
    assert row["mean"][0] == 0  # nothing is fully trained for the price of one


def test_finished_searches_are_kept_and_broken_off_ones_go_on(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entrants = contest({"aging": pipeline}, None)
    expected = compare(entrants, tmp_path / "calm", 2, 1, silent)
    told = 0

    class Stopped(Exception):
        pass

    commit = Store.commit

    def break_off(self: Any, *args: Any, **kwargs: Any) -> None:
        nonlocal told
        told += 1
        if told == 40:
            raise Stopped
        commit(self, *args, **kwargs)

    monkeypatch.setattr(Store, "commit", break_off)
    with pytest.raises(Stopped):
        compare(entrants, tmp_path / "broken", 2, 1, silent)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "broken").glob("*/*/search.json")}
    assert 0 < len(before) < 4
    assert compare(entrants, tmp_path / "broken", 2, 1, silent) == expected
    assert all(p.stat().st_mtime_ns == at for p, at in before.items())


def test_workers_do_not_change_the_result(pipeline: Pipeline, tmp_path: Path) -> None:
    entrants = contest({"aging": pipeline}, 8)
    one = compare(entrants, tmp_path / "one", 2, 1, silent)
    assert compare(entrants, tmp_path / "two", 2, 2, silent) == one


def test_another_search_in_the_folder_is_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    compare(contest({"aging": pipeline}, 3), tmp_path, 1, 1, silent)
    with pytest.raises(HwnasError, match="another pipeline, budget or seed"):
        compare(contest({"aging": pipeline}, 4), tmp_path, 1, 1, silent)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("space", {"name": "size", "channels": [4]}),
        ("objectives", [{"metric": "error"}]),
        ("device", {"batch": 2}),
    ],
)
def test_only_strategies_may_differ(pipeline: Pipeline, key: str, value: Any) -> None:
    other = Pipeline.model_validate(pipeline.model_dump() | {key: value})
    with pytest.raises(HwnasError, match=rf"^{key} is .* in b, but"):
        contest({"a": pipeline, "b": other}, None)


def test_budgets_may_differ_only_if_one_is_given(pipeline: Pipeline) -> None:
    data = pipeline.model_dump()
    data["search"]["evaluations"] = 13
    both = {"a": pipeline, "b": Pipeline.model_validate(data)}
    with pytest.raises(HwnasError, match=r"search\.evaluations is 13"):
        contest(both, None)
    assert {p.search.evaluations for p in contest(both, 5).values()} == {5}


def test_another_strategy_has_its_own_defaults(pipeline: Pipeline) -> None:
    search = with_strategy(pipeline, "nsga2").search
    assert search.component() == {"name": "nsga2"}
    assert search.evaluations == 12
    assert search.estimator == pipeline.search.estimator


def test_networks_that_are_trained_are_compared_with_the_best_found(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    data = pipeline.model_dump()
    data["objectives"] = [{"metric": "error"}, {"metric": "params"}]
    data["space"] = {"name": "nas_bench_201", "cells": 1, "channels": 2}  # quick to train
    data["search"]["estimator"] = {"name": "train", "epochs": 1, "fraction": 0.1}
    result = compare(contest({"aging": Pipeline.model_validate(data)}, 3), tmp_path, 1, 1, silent)
    assert not result["exact"]
    assert result["best"] > 0
    assert result["reference"]["error"] == 1.0
    assert 0 < max(row["mean"][-1] for row in result["strategies"]) <= 1
