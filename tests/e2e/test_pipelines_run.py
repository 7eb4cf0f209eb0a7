"""Every pipeline file that needs no data folder, run to its ONNX models."""

import json
from pathlib import Path

import pytest

from tests.data import ROOT
from tests.e2e.kill import finish

PIPELINES = [
    path
    for path in sorted((ROOT / "pipelines").glob("*.yaml"))
    if "$HWNAS_DATA" not in path.read_text()
]
BRIEFLY = ("estimate.epochs=2", "profile.seconds=0.1", "tracking.uri=null")
"""The search is the file's own; what is common to all is tested elsewhere."""


@pytest.mark.slow
@pytest.mark.parametrize("path", PIPELINES, ids=lambda p: p.stem)
def test_a_pipeline_ends_in_a_model(path: Path, tmp_path: Path) -> None:
    settings = [word for setting in BRIEFLY for word in ("--set", setting)]
    finish("run", path, "--out", tmp_path / "run", *settings)
    trials = json.loads((tmp_path / "run" / "front.json").read_text())["trials"]
    assert trials
    assert list((tmp_path / "run" / "export").glob("*/model.onnx"))
