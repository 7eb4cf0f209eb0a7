"""The pipeline files that ship: what they name is there and fits, without a search."""

from pathlib import Path

import pytest

from hwnas.pipeline.config import read
from hwnas.pipeline.run import Run
from tests.data import ROOT, data


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.yaml")), ids=lambda p: p.stem)
def test_components_are_there_and_fit_each_other(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "$HWNAS_DATA" in path.read_text():
        monkeypatch.setenv("HWNAS_DATA", str(data("fashion_mnist_10k_2k.npz").parent))
    pipeline = read(path)
    assert pipeline.search.evaluations >= 1
    run = Run(pipeline, tmp_path, path.stem, lambda event: None)
    run.check()  # raises what a user would be told, also if the estimator lacks what is needed
    assert not list(tmp_path.iterdir())
