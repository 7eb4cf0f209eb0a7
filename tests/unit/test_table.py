"""The estimator that looks networks up."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwnas.core import Architecture, Estimator, HwnasError, Metric, Proposal, Setting, TensorType
from hwnas.core.registry import create
from hwnas.estimate import _columns
from hwnas.space.moves import every
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.testing import FakeTask
from tests.data import data
from tests.unit import small_table


def table(path: Path, setting: Setting | None = None, **options: Any) -> Estimator:
    made: Estimator = create(
        "estimators",
        {"name": "table", "file": str(path), **options},
        "search.estimator",
        setting or small_table.setting(),
    )
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return small_table.write(tmp_path / "small.npz")


def networks() -> list[Architecture]:
    return list(every(small_table.space()))


def test_every_row_is_given_as_it_was_written(file: Path) -> None:
    columns, about = _columns.read(file)
    assert about["units"] == 9
    estimator = table(file)
    assert estimator.units == 9
    proposals = [Proposal(i, a, 9) for i, a in enumerate(networks())]
    outcomes = list(estimator.estimate(proposals))
    for name in ("error", "work"):
        np.testing.assert_array_equal([o.metrics[name] for o in outcomes], columns[name])
    assert {o.spent.train for o in outcomes} == {9}


def test_training_goes_through_the_columns(file: Path) -> None:
    estimator, point = table(file), networks()[5]
    half, full, less = estimator.estimate(
        [Proposal(0, point, 3), Proposal(1, point, 6, parent=0), Proposal(2, point, 2)]
    )
    between = next(estimator.estimate([Proposal(3, point, 8)]))
    assert half.metrics["error"] == pytest.approx(full.metrics["error"] + 0.2)
    assert between.metrics == half.metrics
    assert [half.spent.train, full.spent.train] == [3, 9]
    assert less.failed is not None
    assert "after 2 units" in less.failed


def test_weights_of_another_network_are_worth_nothing(file: Path) -> None:
    estimator, (first, second, *_) = table(file), networks()
    _, child = estimator.estimate([Proposal(0, first, 9), Proposal(1, second, 3, parent=0)])
    assert child.spent.train == 3
    (plain,) = table(file).estimate([Proposal(0, second, 3)])
    assert child.metrics == plain.metrics


def test_a_resumed_search_finds_its_parents(file: Path, tmp_path: Path) -> None:
    setting = small_table.setting(tmp_path / "search", keep=True)
    point = networks()[0]
    list(table(file, setting).estimate([Proposal(0, point, 3)]))
    with (tmp_path / "search" / "table.jsonl").open("a") as journal:
        journal.write('[1, {"sta')  # killed
    (child,) = table(file, setting).estimate([Proposal(2, point, 6, parent=0)])
    assert child.spent.train == 9
    (orphan,) = table(file, setting).estimate([Proposal(3, point, 6, parent=1)])
    assert orphan.failed is not None


def test_what_is_cheap_is_known_beforehand(file: Path) -> None:
    estimator, point = table(file), networks()[7]
    (outcome,) = estimator.estimate([Proposal(0, point, 9)])
    assert estimator.metrics == (
        Metric("error", worst=1.0),
        Metric("work", "MJ", cheap=True),
    )
    assert estimator.costs(point) == {"work": outcome.metrics["work"]}
    truth = estimator.truth()
    assert truth is not None
    assert {name: len(values) for name, values in truth.items()} == {"error": 32, "work": 32}
    assert truth["error"].min() < outcome.metrics["error"]


def test_metrics_can_be_mapped(file: Path) -> None:
    estimator = table(
        file,
        metrics={
            "accuracy": {"column": {3: "error@3", 9: "error"}, "scale": -100.0, "offset": 100.0,
                         "goal": "max", "cheap": False},
            "latency_ms": "work",
        },
    )  # fmt: skip
    point = networks()[3]
    (plain,) = table(file).estimate([Proposal(0, point, 9)])
    (mapped,) = estimator.estimate([Proposal(0, point, 9)])
    assert mapped.metrics["accuracy"] == pytest.approx(100 - 100 * plain.metrics["error"])
    assert estimator.metrics[0] == Metric("accuracy", goal="max")
    assert estimator.metrics[1].cheap


def test_a_missing_value_is_a_failure(tmp_path: Path) -> None:
    path = small_table.write(tmp_path / "holes.npz")
    columns, about = _columns.read(path)
    rows = [row.decode() for row in columns.pop("architecture")]
    columns["error"][4] = np.nan
    _columns.write(path, rows[:-1], {n: c[:-1] for n, c in columns.items()}, about)
    estimator = table(path)
    hole, absent = estimator.estimate(
        [Proposal(0, networks()[4], 9), Proposal(1, networks()[-1], 9)]
    )
    assert hole.failed is not None
    assert "no error of this network" in hole.failed
    assert absent.failed is not None
    assert "no network" in absent.failed
    truth = estimator.truth()
    assert truth is not None
    assert len(truth["error"]) == 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"file": "nothing.npz"}, "there is no nothing.npz"),
        ({"file": "digit"}, "no table called 'digit'"),
        ({"rows": "error"}, "no column of text called 'error'"),
        ({"metrics": {"error": "eror"}}, "no column 'eror'"),
        ({"metrics": {"error": "architecture"}}, "does not hold a number"),
        ({"metrics": {"error": {0: "error"}}}, "at least 1, got 0"),
        ({"metrics": {"error": {"column": "error", "gaol": "max"}}}, r"metrics\.error\.gaol"),
    ],
)
def test_mistakes_are_told(file: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(HwnasError, match=message):
        table(**{"path": file, **options} if "file" not in options else {"path": options["file"]})


def test_another_space_is_refused(file: Path) -> None:
    other = NasBench201(TensorType((1, 4, 4)), 3, cells=1, channels=2)
    with pytest.raises(HwnasError, match="no networks of this space"):
        table(file, Setting(other, FakeTask()))


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    path.write_text("no zip")
    with pytest.raises(HwnasError, match="not a table"):
        table(path)


def test_the_published_nas_bench_201() -> None:
    """Known figures: the best network by validation has 94.37 % on the test set."""
    file = data("nas_bench_201.npz")
    space = NasBench201(TensorType((3, 32, 32)), 10)
    mapping = {
        name: {"column": column, "scale": -0.01, "offset": 1.0}
        for name, column in (("error", {12: "c10_val_12", 200: "c10_val_200"}),
                             ("test_error", "c10_test_200"))
    }  # fmt: skip
    estimator = table(file, Setting(space, FakeTask()), rows="arch_str", metrics=mapping)
    truth = estimator.truth()
    assert truth is not None
    best = int(np.argmin(truth["error"]))
    assert best == 6111
    assert truth["test_error"][best] == pytest.approx(0.05627, abs=1e-5)
    names = np.load(file, allow_pickle=False)["arch_str"]
    (outcome,) = estimator.estimate([Proposal(0, space.parse(names[best].decode()), 200)])
    assert outcome.metrics["error"] == truth["error"][best]
