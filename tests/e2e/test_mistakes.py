"""The user's mistakes: one screen, the key named, status 2, nothing half-written."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

from hwnas.cli.main import app
from hwnas.core.errors import HwnasError
from tests.e2e.kill import TINY, hwnas, pipeline


def _mistake(tmp_path: Path, *settings: str, data: dict[str, Any] | None = None) -> HwnasError:
    """What running the tiny pipeline with ``settings`` says; the folder must not come to be."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(data or TINY))
    out = tmp_path / "out"
    arguments = [word for s in settings for word in ("--set", s)]
    result = CliRunner().invoke(app, ["run", str(path), "--out", str(out), *arguments])
    assert isinstance(result.exception, HwnasError), result.output
    assert not out.exists()
    assert len(str(result.exception).splitlines()) < 12
    return result.exception


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("serach.name=random", ["serach", "search"]),
        ("search.evaluations=many", ["search.evaluations", "many"]),
        ("search.popluation=3", ["search.popluation"]),
        ("search.name=nsga4", ["search.name", "nsga2"]),
        ("search.estimator.epoch=3", ["search.estimator.epoch", "epochs"]),
        ("search.estimator.epochs=few", ["search.estimator.epochs", "few"]),
        ("search.name=darts", ["search.estimator", "gradient", "shared"]),
        ("space.name=nas_bench", ["space.name", "nas_bench_201"]),
        ("space.cells=0", ["cells"]),
        ("space={name: recurrent}", ["space.name", "recurrent", "tokens", "nas_bench_201"]),
        ("space={name: unet}", ["space.name", "unet", "they put out", "chain"]),
        ("task.name=mnist", ["task.name", "fashion_mnist"]),
        ("device.batch=0", ["device.batch"]),
        ("device=tpu", ["device.kind", "tpu"]),
        ("export.opset=99", ["export.opset", "99"]),
        ("export.select=kneee", ["export.select", "knee"]),
        ("search.workers=0", ["search.workers"]),
        ("nonsense", ["nonsense", "key.path=value"]),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, setting: str, named: list[str]) -> None:
    message = str(_mistake(tmp_path, setting))
    assert all(word in message for word in named), message


def test_a_limit_on_an_unknown_metric_is_named(tmp_path: Path) -> None:
    objectives = [{"metric": "error"}, {"metric": "latency", "limit": 5.0}]
    message = str(_mistake(tmp_path, data={**TINY, "objectives": objectives}))
    assert "objectives.1.metric" in message
    assert "latency_ms" in message


def test_a_structural_space_has_no_supernet(tmp_path: Path) -> None:
    search = {"name": "darts", "estimator": {"name": "shared"}}
    message = str(_mistake(tmp_path, data={**TINY, "search": search, "space": {"name": "chain"}}))
    assert "depth" in message
    assert "train" in message


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_named(tmp_path: Path) -> None:
    message = str(_mistake(tmp_path, "device=cuda"))
    assert "device.kind" in message
    assert "nvidia-smi" in message


def _folder(tmp_path: Path, classes: int = 2) -> Path:
    root = tmp_path / "images"
    for c in range(classes):
        (root / f"class{c}").mkdir(parents=True)
        for i in range(8):
            picture = Image.new("L", (12, 12), color=40 + 150 * c + i)
            picture.save(root / f"class{c}" / f"{i}.png")
    root.mkdir(exist_ok=True)
    return root


def test_a_missing_image_folder_is_named(tmp_path: Path) -> None:
    task = {"name": "image_folder", "root": str(tmp_path / "nowhere")}
    assert "nowhere" in str(_mistake(tmp_path, data={**TINY, "task": task}))


@pytest.mark.parametrize("classes", [0, 1])
def test_too_few_classes_are_a_mistake(tmp_path: Path, classes: int) -> None:
    task = {"name": "image_folder", "root": str(_folder(tmp_path, classes))}
    assert "task.root" in str(_mistake(tmp_path, data={**TINY, "task": task}))


def test_a_corrupt_image_is_an_error_by_config(tmp_path: Path) -> None:
    root = _folder(tmp_path)
    (root / "class0" / "broken.png").write_bytes(b"not a picture")
    task = {"name": "image_folder", "root": str(root), "corrupt": "error"}
    assert "broken.png" in str(_mistake(tmp_path, data={**TINY, "task": task}))


def test_a_file_that_is_no_pipeline(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("- a\n- b\n")
    for name in (path, tmp_path / "absent.yaml"):
        result = CliRunner().invoke(app, ["run", str(name)])
        assert isinstance(result.exception, HwnasError)
        assert name.name in str(result.exception)


def test_the_folder_of_another_pipeline_is_refused_with_status_2(tmp_path: Path) -> None:
    path = pipeline(tmp_path, evaluations=2)
    folder = tmp_path / "run"
    assert CliRunner().invoke(app, ["space", str(path), "--out", str(folder)]).exit_code == 0
    before = sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir())
    process = hwnas("run", path, "--out", folder, "--resume", "--set", "search.estimator.epochs=2")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "search.estimator.epochs is 1 there and 2 here" in " ".join(output.split())
    assert "Traceback" not in output
    assert sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir()) == before
