"""``hwnas space`` on every space: what it prints at 80 columns, and what it leaves."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from hwnas.cli.main import app
from hwnas.core.errors import HwnasError
from hwnas.core.registry import discover

TASKS = [{"name": "digits"}, {"name": "segmentation", "limit": 20}, {"name": "text", "length": 6}]
QUICK = ("nas_bench_201", "morph")


def space(name: str, folder: Path) -> str:
    """What the command prints, with the first task that the space is for."""
    path = folder / "look.yaml"
    for task in TASKS:
        pipeline = {
            "task": task,
            "space": {"name": name},
            "objectives": [{"metric": "error"}],
            "device": {"threads": 1},
            "search": {"name": "random"},
            "tracking": {"uri": None},
        }
        path.write_text(yaml.safe_dump(pipeline))
        done = CliRunner().invoke(
            app, ["space", str(path), "--out", str(folder / "run")], env={"COLUMNS": "80"}
        )
        if not isinstance(done.exception, HwnasError):
            assert done.exit_code == 0, done.output
            return done.stdout
    raise AssertionError(str(done.exception))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in discover("spaces")
    ],
)
def test_size_choices_costs_and_picture(name: str, tmp_path: Path) -> None:
    said = space(name, tmp_path)
    assert max(map(len, said.splitlines()[:-1])) <= 80
    data = json.loads((tmp_path / "run" / "space.json").read_text())
    assert f"{data['networks']} networks, {len(data['choices'])} choices" in said
    assert data["error"] is None
    assert data["size"] is None or data["size"] > 1
    for cost in ("flops", "params", "peak_memory_mb"):
        found = data["costs"][cost]
        assert f"\n{cost} " in said
        assert 0 < found["min"] <= found["median"] <= found["max"]
        assert sum(found["histogram"]) == data["samples"] == 200
    picture = tmp_path / "run" / "network.svg"
    assert str(picture) in said
    assert f"one of {data['networks']} networks" in picture.read_text()
    for choice in data["choices"]:
        assert len(choice["options"]) > 1
