"""From a pipeline file to a verified ONNX model, by the command line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from hwnas.cli.main import app
from hwnas.pipeline.run import STAGES
from tests.data import data
from tests.e2e.kill import TINY, finish, hwnas


def _pipeline(folder: Path, **sections: Any) -> Path:
    search = {
        "name": "nsga2",
        "population": 4,
        "evaluations": 8,
        "estimator": {"name": "train", "epochs": 2},
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump({**TINY, "search": search, **sections}))
    return path


def _show(folder: Path) -> dict[str, Any]:
    process = hwnas("show", folder, "--json")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    found: dict[str, Any] = json.loads(output)
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of all stages, mirrored to MLflow."""
    folder = tmp_path_factory.mktemp("pipeline")
    path = _pipeline(
        folder,
        objectives=[{"metric": "error"}, {"metric": "latency_ms"}, {"metric": "flops"}],
        export={"select": "all"},
        tracking={"uri": f"sqlite:///{folder}/mlflow.db", "experiment": "small"},
    )
    finish("run", path, "--out", folder / "run")
    return folder


@pytest.fixture(scope="module")
def shown(finished: Path) -> dict[str, Any]:
    """What ``hwnas show`` says of it."""
    return _show(finished / "run")


def test_every_stage_leaves_its_files(finished: Path) -> None:
    names = {p.name for p in (finished / "run").iterdir()}
    assert names >= {
        "pipeline.yaml", "space.json", "network.svg", "trials.db", "front.json",
        "estimated.json", "profiled.json", "export", "weights",
    }  # fmt: skip
    assert not list(finished.rglob("*.partial"))
    assert (finished / "run" / "export" / "report.html").stat().st_size > 10_000


def test_show_has_promise_and_delivery_side_by_side(shown: dict[str, Any]) -> None:
    assert shown["evaluations"] == 8
    assert len(shown["reference"]) == len(shown["objectives"]) == 3
    assert [n for n, _ in shown["curve"]] == list(range(1, 9))
    assert shown["winners"]
    for winner in shown["winners"]:
        assert Path(winner["model"]).exists()
        assert winner["promised"]["latency_ms"] > 0
        assert winner["delivered"]["latency_ms"] > 0
        assert winner["delivered"]["parity"] <= 1e-4
        assert winner["delivered"]["provider"] == "CPUExecutionProvider"
        assert winner["delivered"]["accuracy"] == 1 - winner["delivered"]["error"]
        assert winner["delivered"]["error"] == pytest.approx(winner["promised"]["error"], abs=0.01)


def test_the_hypervolume_can_be_computed_from_what_is_shown(shown: dict[str, Any]) -> None:
    from pymoo.indicators.hv import HV

    names = [o["name"] for o in shown["objectives"]]
    front = [[t["metrics"][n] for n in names] for t in shown["trials"] if t["front"]]
    expected = HV(ref_point=np.array(shown["reference"]))(np.array(front))
    assert shown["hypervolume"] == pytest.approx(expected, rel=1e-9)


def test_mlflow_has_parent_children_and_a_registered_model(
    finished: Path, shown: dict[str, Any]
) -> None:
    # In a process of its own: what MLflow sets up would stay for the tests that follow.
    script = (
        "import sys, json, mlflow; c = mlflow.MlflowClient(sys.argv[1]);"
        "e = c.get_experiment_by_name('small');"
        "runs = c.search_runs([e.experiment_id]);"
        "parents = [r for r in runs if 'mlflow.parentRunId' not in r.data.tags];"
        "models = c.search_model_versions();"
        "print(json.dumps([len(parents), len(runs), parents[0].info.status,"
        " sorted(parents[0].data.metrics), len(models)]))"
    )
    uri = f"sqlite:///{finished}/mlflow.db"
    done = subprocess.run(
        [sys.executable, "-c", script, uri], capture_output=True, text=True, check=True
    )
    parents, runs, status, metrics, models = json.loads(done.stdout.splitlines()[-1])
    assert (parents, runs, status) == (1, 1 + 8, "FINISHED")
    assert any("hypervolume" in name for name in metrics)
    assert models == len(shown["winners"])


def test_resume_skips_what_is_done_and_redoes_what_changed(finished: Path) -> None:
    path, folder = finished / "small.yaml", finished / "run"
    before = {s: (folder / f).stat().st_mtime_ns for s, f in _RESULTS.items()}
    words = ["run", str(path), "--out", str(folder), "--resume", "--set", "profile.replicates=12"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    after = {s: (folder / f).stat().st_mtime_ns for s, f in _RESULTS.items()}
    changed = [stage for stage in STAGES if before[stage] != after[stage]]
    assert changed == ["profile", "export"]


_RESULTS = {
    "space": "space.json",
    "search": "front.json",
    "estimate": "estimated.json",
    "profile": "profiled.json",
    "export": "export/report.html",
}


@pytest.mark.slow
def test_stages_one_by_one(tmp_path: Path) -> None:
    path = _pipeline(tmp_path)
    for stage in STAGES:
        finish(stage, path, "--out", tmp_path / "run", *(["--resume"] if stage != "space" else []))
    assert _show(tmp_path / "run")["winners"]


def test_a_stage_without_the_one_before_is_a_mistake(tmp_path: Path) -> None:
    process = hwnas("estimate", _pipeline(tmp_path), "--out", tmp_path / "run")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "hwnas space" in output
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_whole_pipeline_on_fashion_mnist(tmp_path: Path) -> None:
    task = {"name": "fashion_mnist", "file": str(data("fashion_mnist_10k_2k.npz"))}
    search = {
        "name": "aging",
        "population": 6,
        "sample": 2,
        "evaluations": 10,
        "estimator": {"name": "train", "epochs": 2, "fraction": 0.3, "resolution": 0.5},
    }
    path = _pipeline(
        tmp_path,
        task=task,
        space={"name": "nas_bench_201", "cells": 1, "channels": 8},
        search=search,
        estimate={"shortlist": 2, "epochs": 5},
    )
    finish("run", path, "--out", tmp_path / "run")
    (winner,) = _show(tmp_path / "run")["winners"]
    assert winner["delivered"]["accuracy"] > 0.8
    assert winner["delivered"]["parity"] <= 1e-4
