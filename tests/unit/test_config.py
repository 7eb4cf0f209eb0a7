"""Pipeline files: settings, shorthands, threads; and what a resumed run may change."""

from pathlib import Path

import pytest
import torch
import yaml

from hwnas.core import Architecture, Metric, Objective, Objectives, Outcome, Proposal, Spent
from hwnas.core.device import Device, cores
from hwnas.core.errors import HwnasError
from hwnas.core.registry import create
from hwnas.core.setting import Setting
from hwnas.pipeline import config
from hwnas.pipeline.archive import Archive
from hwnas.pipeline.config import read
from hwnas.pipeline.pipeline import _same, folder_for
from hwnas.pipeline.run import Run
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.testing.fakes import FakeTask
from tests.e2e.kill import TINY


def _file(folder: Path) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in TINY.items() if k != "device"}))
    return path


def test_threads_are_cores_over_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "cores", lambda: 8)
    for workers, threads in ((1, 8), (2, 4), (3, 2), (16, 1)):
        pipeline = read(_file(tmp_path), [f"search.workers={workers}"])
        assert pipeline.device.resolve(workers).threads == threads
    chosen = read(_file(tmp_path), ["device.threads=3"])
    assert chosen.device.resolve(2).threads == 3
    assert cores() >= 1


@pytest.mark.parametrize("name", ["train", "shared"])
def test_an_estimator_uses_the_threads_of_its_device(name: str) -> None:
    task = FakeTask()
    space = NasBench201(task.input, task.outputs, cells=1, channels=2)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        setting = Setting(space, task, Device(threads=2))
        create("estimators", {"name": name}, "search.estimator", setting)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_device_can_be_named_by_its_kind(tmp_path: Path) -> None:
    assert read(_file(tmp_path), ["device=cuda"]).device.kind == "cuda"


def test_set_takes_any_yaml_value(tmp_path: Path) -> None:
    settings = [
        "search.evaluations=7",
        "objectives=[{metric: params, limit: 1e3}]",
        "export.opset=17",
    ]
    pipeline = read(_file(tmp_path), settings, seed=5)
    assert pipeline.search.evaluations == 7
    assert pipeline.objectives[0].metric == "params"
    assert pipeline.seed == 5
    with pytest.raises(HwnasError, match="is no section"):
        read(_file(tmp_path), ["seed.deep=1"])


def test_an_objective_is_taken_once(tmp_path: Path) -> None:
    with pytest.raises(HwnasError, match="each metric once"):
        read(_file(tmp_path), ["objectives=[{metric: error}, {metric: error}]"])


def test_run_folders_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("pipelines/some.yaml")
    assert folder_for(path, None, False) == Path("runs/some")
    assert folder_for(path, Path("x"), True) == Path("x")
    with pytest.raises(HwnasError, match="no run"):
        folder_for(path, None, True)
    for name in ("some", "some-2"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert folder_for(path, None, False) == Path("runs/some-3")
    assert folder_for(path, None, True) == Path("runs/some-2")


def test_scores_of_low_fidelity_stay_off_the_front() -> None:
    archive = Archive(Objectives([Objective(Metric("error", worst=1.0))]), 9, {"error": 1.0})

    def trial(id: int, error: float, train: int) -> Outcome:
        proposal = Proposal(id, Architecture({"a": id}), train)
        return Outcome(proposal, {"error": error}, spent=Spent(train))

    archive.extend([trial(0, 0.1, 3)])
    assert archive.front == []
    assert [o.proposal.id for o in archive.best(1)] == [0]
    archive.extend([trial(1, 0.4, 9), trial(2, 0.2, 9), trial(3, 0.3, 9)])
    assert [o.proposal.id for o in archive.front] == [2]
    assert archive.curve == [(1, 0.0), (2, 0.6), (3, 0.8), (4, 0.8)]


def test_a_folder_begun_before_a_key_there_is_goes_on(tmp_path: Path) -> None:
    pipeline = read(_file(tmp_path))
    stored = pipeline.model_dump()
    del stored["search"]["cache"]
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(stored))
    run = Run(pipeline, tmp_path, "tiny", lambda _: None)
    _same(run)
    stored["search"]["cache"] = True
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(stored))
    with pytest.raises(HwnasError, match=r"search\.cache is True there and False here"):
        _same(run)
