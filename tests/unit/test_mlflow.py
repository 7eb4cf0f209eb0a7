"""The mirror has all that the store has, once, whatever happens on the way."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hwnas.track.mlflow import Mirror, ui_command
from tests.unit.run_folder import deliver, onnx_model, search

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which take seconds to make."""
    from hwnas.track._mlflow_client import connect

    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    connect(f"sqlite:///{path}").search_experiments()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture
def uri(empty: Path, tmp_path: Path) -> str:
    (tmp_path / "db").mkdir()
    shutil.copy(empty, tmp_path / "db" / "mlflow.db")
    return f"sqlite:///{tmp_path}/db/mlflow.db"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def client(uri: str) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(uri)


def runs(uri: str) -> tuple[Run, dict[int, Run]]:
    """The one parent, and its children by trial."""
    api = client(uri)
    experiment = api.get_experiment_by_name("toy experiment")
    assert experiment is not None
    found = api.search_runs([experiment.experiment_id], max_results=1000)
    (parent,) = [r for r in found if "trial" not in r.data.tags]
    children = [r for r in found if "trial" in r.data.tags]
    assert {r.data.tags["mlflow.parentRunId"] for r in children} <= {parent.info.run_id}
    by_trial = {int(r.data.tags["trial"]): r for r in children}
    assert len(by_trial) == len(children), "a trial twice"
    return parent, by_trial


def history(uri: str, run: Run, name: str) -> list[tuple[int, float]]:
    points = client(uri).get_metric_history(run.info.run_id, name)
    return sorted((m.step, m.value) for m in points)


def mirror(uri: str, folder: Path) -> Mirror:
    return Mirror(uri, "toy experiment", folder, "toy")


def test_all_is_there_once(uri: str, folder: Path) -> None:
    front = search(folder, 9, steps=5)
    first = mirror(uri, folder)
    assert first.sync()
    assert first.sync()
    parent, children = runs(uri)
    assert parent.info.run_name == "toy"
    assert parent.data.params["task.name"] == "digits"
    assert parent.data.params["objectives.0.limit"] == "0.3"
    assert sorted(children) == list(range(9))
    for trial in front["trials"]:
        child = children[trial["id"]]
        assert trial["metrics"].items() <= child.data.metrics.items()
        assert child.data.params == {"0-1": "conv", "depth": str(trial["id"] % 3)}
        assert child.data.tags["on_front"] == str(trial["front"]).lower()
        assert child.data.tags.get("failed") == trial["failed"]
        assert child.info.status == ("FAILED" if trial["failed"] else "FINISHED")
    assert history(uri, parent, "hypervolume") == [tuple(p) for p in front["curve"]]
    loss = [(1000 + i, 1 / (i + 1)) for i in range(5)]
    assert history(uri, parent, "sampled/loss") == loss


def test_curves_end_in_the_front(uri: str, folder: Path) -> None:
    front = search(folder, 12)
    mirror(uri, folder).sync()
    parent, _ = runs(uri)
    members = [t["metrics"]["error"] for t in front["trials"] if t["front"]]
    assert history(uri, parent, "front_size")[-1] == (12, len(members))
    best = history(uri, parent, "best_error")
    assert best[-1] == (12, min(members))
    assert [v for _, v in best] == sorted((v for _, v in best), reverse=True)


def test_a_resumed_run_is_the_same_run(uri: str, folder: Path) -> None:
    search(folder, 6)
    first = mirror(uri, folder)
    first.close("KILLED")
    before, _ = runs(uri)
    assert before.info.status == "KILLED"
    front = search(folder, 20)
    second = mirror(uri, folder)
    assert second.sync()
    during, children = runs(uri)
    assert during.info.status == "RUNNING"
    second.close()
    after, children = runs(uri)
    assert after.info.run_id == before.info.run_id
    assert after.info.status == "FINISHED"
    assert len(children) == 20
    # Early members of the front that were dominated later have lost the tag.
    on_front = {i for i, r in children.items() if r.data.tags["on_front"] == "true"}
    assert on_front == {t["id"] for t in front["trials"] if t["front"]}
    assert history(uri, after, "hypervolume") == [tuple(p) for p in front["curve"]]


@pytest.mark.parametrize("method", ["create_run", "log_batch", "set_terminated"])
@pytest.mark.parametrize("call", [1, 4])
def test_interrupted_anywhere_it_catches_up(
    uri: str, folder: Path, monkeypatch: pytest.MonkeyPatch, method: str, call: int
) -> None:
    from mlflow import MlflowClient

    front = search(folder, 8)
    plain, calls = getattr(MlflowClient, method), iter(range(1000))

    def failing(self: MlflowClient, *args: Any, **kwargs: Any) -> Any:
        if next(calls) == call:
            raise ConnectionError("the network is down")
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(MlflowClient, method, failing)
    one = mirror(uri, folder)
    assert not one.sync()
    assert one.sync()
    parent, children = runs(uri)
    assert len(children) == 8
    assert all(r.info.status != "RUNNING" for r in children.values())
    for trial in front["trials"]:
        assert trial["metrics"].items() <= children[trial["id"]].data.metrics.items()
        times = client(uri).get_metric_history(children[trial["id"]].info.run_id, "train_units")
        assert len(times) == 1
    assert history(uri, parent, "hypervolume") == [tuple(p) for p in front["curve"]]


def test_mlflow_down_is_said_once(
    uri: str, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    search(folder, 3)
    (tmp_path / "db").rename(tmp_path / "away")
    (tmp_path / "db").write_text("a file where the folder should be")
    one = mirror(uri, folder)
    with caplog.at_level(logging.WARNING, "hwnas"):
        assert not one.sync()
        assert not one.sync()
        one.close()
    (record,) = [r for r in caplog.records if r.name == "hwnas"]
    assert "the run goes on" in record.getMessage()
    (tmp_path / "db").unlink()
    (tmp_path / "away").rename(tmp_path / "db")
    assert one.sync()
    assert len(runs(uri)[1]) == 3


def test_a_lost_database_is_written_anew(
    uri: str, folder: Path, empty: Path, tmp_path: Path
) -> None:
    search(folder, 4)
    assert mirror(uri, folder).sync()
    (tmp_path / "other").mkdir()
    shutil.copy(empty, tmp_path / "other" / "mlflow.db")
    other = f"sqlite:///{tmp_path}/other/mlflow.db"
    assert mirror(other, folder).sync()
    assert len(runs(other)[1]) == 4
    assert len(runs(uri)[1]) == 4


def test_before_the_search_nothing_is_written(uri: str, folder: Path) -> None:
    folder.mkdir()
    one = mirror(uri, folder)
    assert one.sync()
    one.close()
    assert list(folder.iterdir()) == []


def test_artefacts_lie_beside_the_database(
    uri: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    search(folder, 3)
    (folder / "export").mkdir()
    (folder / "export" / "report.html").write_text("<p>good</p>")
    mirror(uri, folder).sync()
    parent, _ = runs(uri)
    names = {a.path for a in client(uri).list_artifacts(parent.info.run_id)}
    assert names == {"pipeline.yaml", "front.json", "report.html"}
    assert list((tmp_path / "db" / "mlruns").rglob("report.html"))
    assert list(work.iterdir()) == []


def test_the_winner_is_registered_once(uri: str, folder: Path) -> None:
    front = search(folder, 8)
    export = deliver(folder, front)
    onnx_model(export)
    second = export.parent / "second"
    shutil.copytree(export, second)
    onnx_model(second, slope=0.25)
    one = mirror(uri, folder)
    assert one.register(export)
    assert one.register(second)
    assert mirror(uri, folder).register(export)
    api = client(uri)
    versions = api.search_model_versions("name = 'toy experiment'")
    assert len(versions) == 2
    winner = api.get_model_version_by_alias("toy experiment", "winner")
    assert winner.run_id == runs(uri)[0].info.run_id
    assert winner.tags["latency_ms"] == "3"
    assert winner.tags["provider"] == "CPUExecutionProvider"

    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        model = mlflow.pyfunc.load_model("models:/toy experiment@winner")
    finally:
        mlflow.set_tracking_uri(before)
    out = model.predict(np.full((3, 4), -1.0, dtype=np.float32))
    np.testing.assert_allclose(out["output"], np.full((3, 4), -0.5))


def test_a_process_beside_does_the_same(uri: str, folder: Path) -> None:
    one = mirror(uri, folder)
    one.start(interval=0.2)  # before there is a folder
    time.sleep(0.5)
    front = search(folder, 3)
    export = deliver(folder, front)
    onnx_model(export)
    wait(lambda: status(uri) == "RUNNING")
    search(folder, 8)
    one.register(export)
    one.close()
    parent, children = runs(uri)
    assert parent.info.status == "FINISHED"
    assert len(children) == 8
    assert len(client(uri).search_model_versions("name = 'toy experiment'")) == 1


def test_the_process_ends_with_its_parent(uri: str, folder: Path) -> None:
    search(folder, 3)
    code = (
        "import os, sys, time; from pathlib import Path; from hwnas.track.mlflow import Mirror\n"
        "Mirror(sys.argv[1], 'toy experiment', Path(sys.argv[2]), 'toy').start(0.2)\n"
        "sys.stdin.readline(); os._exit(9)"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, uri, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, cwd=root) as parent:
        wait(lambda: status(uri) == "RUNNING")
        parent.communicate("die\n")
    wait(lambda: status(uri) == "KILLED")


def status(uri: str) -> str:
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as db:
        rows = db.execute("SELECT status FROM runs WHERE name = 'toy'").fetchall()
    return str(rows[0][0]) if rows else ""


def wait(reached: Any, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.1)


def test_chatter_is_silent(folder: Path, tmp_path: Path) -> None:
    """In a process of its own, as pytest has its hands on logging; with a database to be made."""
    search(folder, 2)
    code = (
        "import sys; from pathlib import Path; from hwnas.track.mlflow import Mirror\n"
        "assert Mirror(sys.argv[1], 'e', Path(sys.argv[2]), 'toy').sync()"
    )
    uri = f"sqlite:///{tmp_path}/new/folder/mlflow.db"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")}
    done = subprocess.run(
        [sys.executable, "-c", code, uri, str(folder)],
        capture_output=True, text=True, check=False, env=environment,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_ui_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(ui_command("sqlite:///some runs/mlflow.db"))
    assert words[0].endswith("mlflow")
    place = f"sqlite:///{tmp_path}/some runs/mlflow.db"
    assert words[1:4] == ["ui", "--backend-store-uri", place]
    assert shutil.which(words[0])
    assert ui_command("http://localhost:5000").endswith(" http://localhost:5000")
