"""Tables: a whole space evaluated, each different network once, whatever interrupts it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from hwnas.cli.main import app
from hwnas.core.errors import HwnasError
from hwnas.core.proposal import Proposal
from hwnas.core.space import Pick, Space
from hwnas.core.tracker import Event
from hwnas.estimate import _columns
from hwnas.graph.blocks import relu_conv_norm, stem
from hwnas.graph.classify import classify
from hwnas.graph.graph import Graph
from hwnas.graph.ops.identity import Identity
from hwnas.pipeline import table as module
from hwnas.pipeline.config import Pipeline, read
from hwnas.pipeline.run import Run
from hwnas.space.moves import every
from hwnas.testing.fakes import FakeEstimator

UNITS = 3


class Pair(Space):
    """Two layers, each there or not: four networks, of which two are the same."""

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        x = g.add("stem", stem(2), g.input)
        for i in range(2):
            x = pick.op(f"layer{i}", x, {"skip": Identity(), "conv": relu_conv_norm(2, 1)})
        return g.finish(classify(x, self.outputs))


class Endless(Pair):
    def count(self) -> float:
        return float("inf")


class Clumsy(FakeEstimator):
    """Its third network is never trained to the end."""

    def __init__(self, setting: Any) -> None:
        super().__init__(setting, units=UNITS, fails={2 * 2 + 1})


class Hopeless(FakeEstimator):
    def __init__(self, setting: Any) -> None:
        super().__init__(setting, units=UNITS, fails=range(100))


class Childless(FakeEstimator):
    provides = frozenset()


def _file(tmp_path: Path, estimator: dict[str, Any], **search: Any) -> Path:
    data = {
        "task": {"name": "hwnas.testing.fakes:FakeTask"},
        "space": {"name": f"{__name__}:Pair"},
        "objectives": [{"metric": "error"}, {"metric": "flops"}],
        "device": {"threads": 1},
        "search": {"name": "random", "estimator": estimator, **search},
        "tracking": {"uri": None},
        "seed": 3,
    }
    path = tmp_path / "pair.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def _fake(tmp_path: Path, estimator: str = "hwnas.testing.fakes:FakeEstimator") -> Pipeline:
    options = {"units": UNITS} if estimator.endswith(":FakeEstimator") else {}
    return read(_file(tmp_path, {"name": estimator, **options}))


def _train(tmp_path: Path, **search: Any) -> Pipeline:
    return read(_file(tmp_path, {"name": "train", "epochs": UNITS}, **search))


def _ignore(_: Event) -> None:
    pass


def _stop_at(done: int) -> Callable[[Event], None]:
    def record(event: Event) -> None:
        if event.stage == "train" and event.kind == "progress" and event.done == done:
            raise KeyboardInterrupt

    return record


def test_every_network_has_a_row_with_what_the_estimator_says_of_it(tmp_path: Path) -> None:
    pipeline = _fake(tmp_path)
    out = tmp_path / "fake.npz"
    module.table(pipeline, out, [1], _ignore)
    columns, about = _columns.read(out)
    run = Run(pipeline, tmp_path, "fake", _ignore)
    networks = list(every(run.space))
    texts = [json.loads(text) for text in columns["architecture"].tolist()]
    assert texts == [a.to_json() for a in networks]
    for i, architecture in enumerate(networks):
        for units, name in ((1, "error@1"), (UNITS, "error")):
            (outcome,) = run.estimator.estimate([Proposal(i, architecture, units)])
            assert columns[name][i] == pytest.approx(outcome.metrics["error"], rel=1e-6)
        # The estimator's own costs come before those of profilers.
        assert columns["flops"][i] == pytest.approx(run.costs(architecture)["flops"], rel=1e-6)
    assert columns["error"].dtype == np.float32
    assert columns["peak_memory_mb"].min() > 0
    assert "flops@1" not in columns
    assert about["units"] == UNITS and about["seed"] == 3 and about["failed"] == 0
    told = {o["metric"]: o for o in about["objectives"]}
    assert not told["error"]["cheap"] and told["flops"]["cheap"]
    assert about["conditions"]["threads"] == 1
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".work"] == []


def test_the_same_networks_are_trained_once_and_measured_each(tmp_path: Path) -> None:
    said: list[Event] = []
    out = tmp_path / "pair.npz"
    columns = module.table(_train(tmp_path, cache=True), out, [1], said.append)
    texts = [json.loads(t) for t in _columns.read(out)[0]["architecture"].tolist()]
    one, other = (
        texts.index({"layer0": a, "layer1": b}) for a, b in (("skip", "conv"), ("conv", "skip"))
    )
    for name in ("error", "error@1", "loss", "loss@1", "flops", "params"):
        assert columns[name][one] == columns[name][other]
    assert [e.total for e in said if e.stage == "train" and e.kind == "start"] == [3]
    assert [e.total for e in said if e.stage == "profile" and e.kind == "start"] == [4]
    assert len(set(columns["loss"].tolist())) == 3
    assert columns["flops"].dtype == columns["params"].dtype == np.int64


def test_scores_on_the_way_do_not_change_the_training(tmp_path: Path) -> None:
    pipeline = _train(tmp_path)
    columns = module.table(pipeline, tmp_path / "pair.npz", [1, 2], _ignore)
    run = Run(pipeline, tmp_path / "alone", "pair", _ignore)
    whole = [Proposal(3 * i, a, UNITS) for i, a in enumerate(every(run.space))]
    for i, outcome in enumerate(run.estimator.estimate(whole)):
        assert columns["loss"][i] == np.float32(outcome.metrics["loss"])
        assert columns["loss"][i] != columns["loss@1"][i]


@pytest.mark.parametrize("done", [1, 2, 4])
def test_a_stopped_table_goes_on_and_is_the_same(tmp_path: Path, done: int) -> None:
    pipeline = _train(tmp_path)
    undisturbed = module.table(pipeline, tmp_path / "whole.npz", [1], _ignore)
    out = tmp_path / "stopped.npz"
    with pytest.raises(KeyboardInterrupt):
        module.table(pipeline, out, [1], _stop_at(done))
    assert not out.exists()
    kept = list((tmp_path / "stopped.work").rglob("*.safetensors"))
    assert kept == []  # whole networks are done, and their weights deleted
    said: list[Event] = []
    columns = module.table(pipeline, out, [1], said.append)
    assert [e.done for e in said if e.stage == "train" and e.kind == "start"] == [done]
    assert sum(e.stage == "train" and e.kind == "progress" for e in said) == 4 - done
    assert columns.keys() == undisturbed.keys()
    for name, column in columns.items():
        np.testing.assert_array_equal(column, undisturbed[name])


def test_another_pipeline_does_not_go_on_with_a_stopped_table(tmp_path: Path) -> None:
    out = tmp_path / "pair.npz"
    with pytest.raises(KeyboardInterrupt):
        module.table(_fake(tmp_path), out, [1], _stop_at(1))
    with pytest.raises(HwnasError, match="another table was begun"):
        module.table(_fake(tmp_path), out, [2], _ignore)


def test_a_network_that_fails_on_the_way_has_no_number(tmp_path: Path) -> None:
    out = tmp_path / "clumsy.npz"
    columns = module.table(_fake(tmp_path, f"{__name__}:Clumsy"), out, [1], _ignore)
    assert np.isnan(columns["error"]).tolist() == [False, False, True, False]
    assert np.isfinite(columns["error@1"]).all()
    assert np.isfinite(columns["peak_memory_mb"]).all()
    assert _columns.read(out)[1]["failed"] == 1


def test_where_every_network_fails_it_ends_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(HwnasError, match="was chosen to fail"):
        module.table(_fake(tmp_path, f"{__name__}:Hopeless"), tmp_path / "o.npz", [], _ignore)


@pytest.mark.parametrize(
    ("settings", "units", "named"),
    [
        ([f"space.name={__name__}:Endless"], [], "no end of"),
        (["space={name: nas_bench_201}"], [], "15,625"),
        (["search.cache=true"], [], "flops"),
        ([], [4], "1 to 3"),
        ([], [0], "1 to 3"),
        ([f"search.estimator.name={__name__}:Childless"], [1], "cannot go on"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: list[str],
    units: list[int],
    named: str,
) -> None:
    monkeypatch.setattr(module, "MOST", 1000)
    estimator = {"name": "hwnas.testing.fakes:FakeEstimator", "units": UNITS}
    pipeline = read(_file(tmp_path, estimator), settings)
    with pytest.raises(HwnasError, match=named):
        module.table(pipeline, tmp_path / "o.npz", units, _ignore)
    assert [p.name for p in tmp_path.iterdir()] == ["pair.yaml"]


@pytest.mark.slow
def test_several_workers_make_the_same_table(tmp_path: Path) -> None:
    alone = module.table(_train(tmp_path), tmp_path / "one.npz", [1], _ignore)
    both = module.table(_train(tmp_path, workers=2), tmp_path / "two.npz", [1], _ignore)
    assert alone.keys() == both.keys()
    for name, column in alone.items():
        np.testing.assert_array_equal(column, both[name])


def test_the_command_writes_a_table_once(tmp_path: Path) -> None:
    path = _file(tmp_path, {"name": "train", "epochs": UNITS})
    out = tmp_path / "pair.npz"
    arguments = ["table", str(path), "--out", str(out), "--units", "1,2", "--set",
                 "search.cache=true", "--seed", "5"]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "4 networks, error@1, error@2, error, " in result.output
    columns, about = _columns.read(out)
    assert about["seed"] == 5 and len(columns["architecture"]) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pair.npz", "pair.yaml"]
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, HwnasError) and "already" in again.exception.message


@pytest.mark.parametrize(
    "options", [["--out", "table.txt"], ["--out", "table.npz", "--units", "1,two"]]
)
def test_wrong_options_are_named(tmp_path: Path, options: list[str]) -> None:
    path = _file(tmp_path, {"name": "train"})
    result = CliRunner().invoke(app, ["table", str(path), *options])
    assert isinstance(result.exception, HwnasError)
    assert options[-2] in result.exception.message
