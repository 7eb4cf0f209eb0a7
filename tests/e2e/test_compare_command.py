"""``hwnas compare``, as a person types it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from hwnas.cli.main import app
from hwnas.core.errors import HwnasError
from tests.unit import small_table


@pytest.fixture
def file(tmp_path: Path) -> Path:
    table = small_table.write(tmp_path / "small.npz")
    path = tmp_path / "small.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "task": {"name": "digits"},
                "space": {"name": "size", "channels": small_table.CHANNELS},
                "objectives": [{"metric": "error"}, {"metric": "work"}],
                "search": {
                    "name": "random",
                    "evaluations": 12,
                    "estimator": {"name": "table", "file": str(table)},
                },
                "tracking": {"uri": f"sqlite:///{tmp_path}/mlflow.db", "experiment": "compare"},
            }
        )
    )
    return path


def compare(*arguments: object) -> Any:
    return CliRunner().invoke(
        app, ["compare", *map(str, arguments)], env={"COLUMNS": "80", "NO_COLOR": "1"}
    )


def test_a_comparison_from_file_to_table(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    entrants = ["--strategy", "nsga2", "--strategy", "aging"]
    result = compare(file, *entrants, "--seeds", 2, "--out", out, "--workers", 1)
    assert result.exit_code == 0, result.output
    for word in ("random", "nsga2", "aging", "at 6", "at 12", "rank", "best possible"):
        assert word in result.stdout
    lines = [line for line in result.stdout.splitlines() if str(out) not in line]
    assert max(map(len, lines)) <= 80
    assert (out / "compare.png").read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in out.iterdir() if p.is_dir()} == {"random", "nsga2", "aging"}

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    found = client.get_experiment_by_name("compare")
    assert found is not None
    runs = {r.info.run_name: r for r in client.search_runs([found.experiment_id])}
    assert set(runs) == {"out", "random", "nsga2", "aging"}
    assert {a.path for a in client.list_artifacts(runs["out"].info.run_id)} == {
        "compare.json",
        "compare.png",
    }
    history = client.get_metric_history(runs["aging"].info.run_id, "share")
    assert [m.step for m in history] == list(range(1, 13))

    again = compare(file, "--out", out, "--seeds", 2)
    assert isinstance(again.exception, HwnasError)
    assert "--resume" in again.exception.hint
    settings = ["--set", "tracking.uri=null", "--resume", "--json", "--workers", 1]
    more = compare(file, *entrants, "--seeds", 3, "--out", out, *settings)
    data = json.loads(more.stdout)
    assert data["seeds"] == 3
    assert data == json.loads((out / "compare.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strategy", "nsga"], "search.name"),
        (["--strategy", "darts"], "no supernet"),
        (["--strategy", "aging", "--strategy", "aging"], "two of the pipelines"),
        (["--set", "objectives=[{metric: wrok}]"], "wrok"),
    ],
)
def test_mistakes(file: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    out = tmp_path / "out"
    result = compare(file, *arguments, "--out", out)
    assert isinstance(result.exception, HwnasError), result.output
    assert message in str(result.exception)
    assert not out.exists()
