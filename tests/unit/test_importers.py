"""Importers read generated files in the layout of the official ones, and run no code in them."""

import bz2
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hwnas.cli.main import app
from hwnas.core.errors import HwnasError
from hwnas.core.tensor_type import TensorType
from hwnas.estimate import _columns
from hwnas.estimate.imports import import_table, kinds
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.space.size import Size

CELLS = [
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|none~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|skip_connect~2|",
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
]
SIZES = ["8:16:24:32:64", "64:64:64:64:64", "8:8:8:8:8"]
SEEDS: Mapping[int, tuple[int, ...]] = {12: (777,), 200: (777, 888, 999), 1: (777,), 90: (777,)}
SPLITS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}


def _accuracy(index: int, dataset: str, split: str, epochs: int, seed: int, at: int) -> float:
    """Of the training's epoch ``at``, from 0; a number of its own for each."""
    place = list(SPLITS).index(dataset) * 3 + SPLITS[dataset].index(split)
    return 10 + 20 * index + place + 0.01 * at + 0.001 * (seed % 7) + epochs / 1e4


def _result(index: int, dataset: str, epochs: int, seed: int) -> dict[str, Any]:
    """The state of a ``ResultsCount``."""
    number = np.float64 if seed == 888 else float  # both are found
    keys = [(split, at) for split in SPLITS[dataset] for at in (0, epochs - 1)]
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": {0: 30.0, epochs - 1: 99.0},
        "train_acc5es": None,
        "train_losses": {0: 2.0, epochs - 1: 0.1},
        "train_times": OrderedDict({0: 1.5}),
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": CELLS[index]},
        "params": number(0.802426 + index + (dataset != "cifar10") * 0.01),
        "flop": number(113.95137 + index + (dataset == "ImageNet16-120")),
        "seed": seed,
        "epochs": epochs,
        "latency": [0.0143, 0.0144],
        "eval_names": list(SPLITS[dataset]),
        "eval_acc1es": {
            f"{split}@{at}": number(_accuracy(index, dataset, split, epochs, seed, at))
            for split, at in keys
        },
        "eval_times": {f"{split}@{at}": 0.5 for split, at in keys},
        "eval_losses": {f"{split}@{at}": 0.7 for split, at in keys},
    }


def _record(index: int, text: str, epochs: int) -> dict[str, Any]:
    """The state of an ``ArchResults``."""
    return {
        "arch_index": index,
        "arch_str": text,
        "all_results": {
            (dataset, seed): _result(index, dataset, epochs, seed)
            for dataset in SPLITS
            for seed in SEEDS[epochs]
        },
        "dataset_seed": {dataset: list(SEEDS[epochs]) for dataset in SPLITS},
        "clear_net_done": True,
    }


def _expected(index: int, dataset: str, split: str, epochs: int) -> float:
    seeds = SEEDS[epochs]
    values = [_accuracy(index, dataset, split, epochs, s, epochs - 1) for s in seeds]
    return sum(values) / len(seeds)


def _nas_bench_201(path: Path, zipped: bool = False) -> Path:
    infos = {
        i: {"less": _record(i, text, 12), "full": _record(i, text, 200)}
        for i, text in enumerate(CELLS[:2])  # the third was not evaluated
    }
    data = {"meta_archs": CELLS, "arch2infos": infos, "evaluated_indexes": {0, 1}}
    torch.save(data, path, _use_new_zipfile_serialization=zipped)  # of 2020, not zipped yet
    return path


def _pickled(path: Path, data: Any) -> None:
    with bz2.BZ2File(path, "wb") as file:
        pickle.dump(data, file, protocol=4)


def _nats_bench(folder: Path, networks: list[str], levels: Mapping[str, int]) -> Path:
    folder.mkdir()
    _pickled(folder / "meta.pickle.pbz2", {"meta_archs": networks, "total_archs": len(networks)})
    for i, text in enumerate(networks):
        records = OrderedDict({hp: _record(i, text, epochs) for hp, epochs in levels.items()})
        _pickled(folder / f"{i:06d}.pickle.pbz2", records)
    return folder


DEVICES = ("edgegpu_latency", "edgegpu_energy", "raspi4_latency", "edgetpu_latency",
           "pixel3_latency", "eyeriss_latency", "eyeriss_energy", "fpga_latency",
           "fpga_energy")  # fmt: skip


def _hw_nas_bench(path: Path, cells: list[str] = CELLS, protocol: int = 2) -> Path:
    tables: dict[str, Any] = {}
    for d, dataset in enumerate(("cifar10", "cifar100", "ImageNet16-120")):
        tables[dataset] = {
            name: np.array([100.0 * d + 10 * k + i for i in range(len(cells))])
            for k, name in enumerate(DEVICES)
        }
        tables[dataset]["eyeriss_arithmetic_intensity"] = [1.0] * len(cells)
        tables[dataset]["config"] = [
            {"name": "infer.tiny", "C": 16, "N": 5, "arch_str": text, "num_classes": 10}
            for text in cells
        ]
    data = {"nasbench201": tables, "fbnet": {"edgegpu_latency": {"FC_Cin1_Cout2": 0.1}}}
    path.write_bytes(pickle.dumps(data, protocol))
    return path


def _texts(columns: Mapping[str, np.ndarray]) -> list[str]:
    return [text.decode() for text in columns[_columns.ROWS].tolist()]


def test_importers_are_found_by_their_file_names() -> None:
    assert kinds() == ["hw_nas_bench", "nas_bench_201", "nats_bench"]


@pytest.mark.parametrize("zipped", [False, True])
def test_nas_bench_201(tmp_path: Path, zipped: bool) -> None:
    out = tmp_path / "table.npz"
    import_table("nas_bench_201", _nas_bench_201(tmp_path / "nb.pth", zipped), out)
    columns, about = _columns.read(out)
    assert _texts(columns) == CELLS
    for i in range(2):
        for name, dataset, split in (
            ("cifar10_valid", "cifar10-valid", "x-valid"),
            ("cifar10_test", "cifar10", "ori-test"),
            ("cifar100_valid", "cifar100", "x-valid"),
            ("cifar100_test", "cifar100", "x-test"),
            ("imagenet16_120_valid", "ImageNet16-120", "x-valid"),
            ("imagenet16_120_test", "ImageNet16-120", "x-test"),
        ):
            for epochs, column in ((200, name), (12, f"{name}@12")):
                expected = np.float32(_expected(i, dataset, split, epochs))
                assert columns[column][i] == expected, column
        assert columns["flops"][i] == 113_951_370 + i * 10**6
        assert columns["params"][i] == 802_426 + i * 10**6
        assert columns["imagenet16_120_flops"][i] == 114_951_370 + i * 10**6
        assert columns["cifar100_params"][i] == 812_426 + i * 10**6
    assert all(np.isnan(values[2]) for name, values in columns.items() if name != _columns.ROWS)
    assert about["units"] == 200
    told = {o["metric"]: o for o in about["objectives"]}
    assert told["cifar10_test"] == {
        "metric": "cifar10_test", "unit": "%", "goal": "max", "cheap": False,
    }  # fmt: skip
    assert told["flops"]["cheap"] and told["flops"]["goal"] == "min"


def test_a_nas_bench_201_without_the_short_trainings_of_a_data_set(tmp_path: Path) -> None:
    """Version 1.0: trainings of 12 epochs are of ``cifar10-valid`` alone."""
    less = _record(0, CELLS[0], 12)
    less["dataset_seed"] = {"cifar10-valid": [777]}
    infos = {0: {"less": less, "full": _record(0, CELLS[0], 200)}}
    path = tmp_path / "nb.pth"
    torch.save({"meta_archs": CELLS[:1], "arch2infos": infos, "evaluated_indexes": [0]}, path)
    columns = import_table("nas_bench_201", path, tmp_path / "table.npz")
    assert "cifar10_valid@12" in columns and "cifar10_test" in columns
    assert "cifar10_test@12" not in columns


def test_nats_bench_topology(tmp_path: Path) -> None:
    source = _nats_bench(tmp_path / "tss", CELLS, {"12": 12, "200": 200})
    (source / "000002.pickle.pbz2").unlink()
    import_table("nats_bench", source, tmp_path / "tss.npz")
    import_table("nas_bench_201", _nas_bench_201(tmp_path / "nb.pth"), tmp_path / "nb.npz")
    columns, about = _columns.read(tmp_path / "tss.npz")
    same, _ = _columns.read(tmp_path / "nb.npz")
    assert columns.keys() == same.keys()
    for name in columns:
        np.testing.assert_array_equal(columns[name], same[name])
    assert about["space"] == "nas_bench_201"


def test_nats_bench_size(tmp_path: Path) -> None:
    source = _nats_bench(tmp_path / "sss", SIZES, {"01": 1, "12": 12, "90": 90})
    import_table("nats_bench", source, tmp_path / "sss.npz")
    columns, about = _columns.read(tmp_path / "sss.npz")
    assert about["space"] == "size" and about["units"] == 90
    assert columns["cifar10_valid"][1] == np.float32(_expected(1, "cifar10-valid", "x-valid", 90))
    assert columns["cifar10_valid@1"][2] == np.float32(_expected(2, "cifar10-valid", "x-valid", 1))
    assert columns["cifar100_test@12"][0] == np.float32(_expected(0, "cifar100", "x-test", 12))
    assert columns["flops"].dtype == columns["params"].dtype == np.int64
    space = Size(TensorType((3, 32, 32)), 10)
    assert [list(space.parse(t).values()) for t in _texts(columns)][1] == [64] * 5


@pytest.mark.parametrize("protocol", [2, 4])
def test_hw_nas_bench(tmp_path: Path, protocol: int) -> None:
    out = tmp_path / "hw.npz"
    import_table("hw_nas_bench", _hw_nas_bench(tmp_path / "hw.pickle", protocol=protocol), out)
    columns, about = _columns.read(out)
    space = NasBench201(TensorType((3, 32, 32)), 10)
    assert [space.parse(text)["0-1"] for text in _texts(columns)] == [
        "avg_pool_3x3", "nor_conv_3x3", "none",
    ]  # fmt: skip
    assert columns["edgegpu_latency_ms"].tolist() == [0, 1, 2]
    assert columns["raspi4_latency_ms"].tolist() == [20, 21, 22]
    assert columns["cifar100_edgegpu_energy_mj"].tolist() == [110, 111, 112]
    assert columns["imagenet16_120_fpga_latency_ms"].tolist() == [270, 271, 272]
    assert len(columns) == 1 + 3 * 9
    told = {o["metric"]: o for o in about["objectives"]}
    assert told["edgegpu_energy_mj"]["unit"] == "mJ" and told["edgegpu_energy_mj"]["cheap"]


def test_pickles_of_numpy_1_are_read(tmp_path: Path) -> None:
    path = _hw_nas_bench(tmp_path / "hw.pickle", protocol=2)
    old = path.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert old != path.read_bytes()
    path.write_bytes(old)
    assert "pixel3_latency_ms" in import_table("hw_nas_bench", path, tmp_path / "hw.npz")


def test_costs_join_accuracies_by_architecture(tmp_path: Path) -> None:
    base = tmp_path / "nb.npz"
    import_table("nas_bench_201", _nas_bench_201(tmp_path / "nb.pth"), base)
    source = _hw_nas_bench(tmp_path / "hw.pickle", [CELLS[2], CELLS[0]])
    out = tmp_path / "both.npz"
    import_table("hw_nas_bench", source, out, join=base)
    columns, about = _columns.read(out)
    before, _ = _columns.read(base)
    for name, column in before.items():
        np.testing.assert_array_equal(columns[name], column)
    np.testing.assert_array_equal(columns["edgegpu_latency_ms"], [1, np.nan, 0])
    assert about["units"] == 200 and about["source"] == "nb.pth, hw.pickle"
    told = [o["metric"] for o in about["objectives"]]
    assert "cifar10_valid" in told and "edgegpu_latency_ms" in told
    with pytest.raises(HwnasError, match="already"):
        import_table("hw_nas_bench", source, tmp_path / "twice.npz", join=out)


def test_tables_that_have_no_network_in_common_do_not_join(tmp_path: Path) -> None:
    base = tmp_path / "sss.npz"
    import_table("nats_bench", _nats_bench(tmp_path / "sss", SIZES, {"90": 90}), base)
    source = _hw_nas_bench(tmp_path / "hw.pickle")
    with pytest.raises(HwnasError, match="8:16:24:32:64"):
        import_table("hw_nas_bench", source, tmp_path / "both.npz", join=base)


class _Bomb:
    """A pickle of it writes a file when it is loaded by a careless reader."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._target,))


@pytest.mark.parametrize("kind", ["hw_nas_bench", "nas_bench_201", "nats_bench"])
def test_no_code_in_a_file_is_run(tmp_path: Path, kind: str) -> None:
    target, source = tmp_path / "ran", tmp_path / "source"
    bomb = {"meta_archs": CELLS, "nasbench201": _Bomb(target), "arch2infos": _Bomb(target)}
    if kind == "hw_nas_bench":
        source.write_bytes(pickle.dumps(bomb))
    elif kind == "nas_bench_201":
        torch.save(bomb, source)
    else:
        source.mkdir()
        _pickled(source / "meta.pickle.pbz2", bomb)
    pickle.loads(pickle.dumps(_Bomb(target)))
    assert target.exists()  # the bomb works
    target.unlink()
    with pytest.raises(HwnasError):
        import_table(kind, source, tmp_path / "table.npz")
    assert not target.exists()


@pytest.mark.parametrize("kind", ["hw_nas_bench", "nas_bench_201", "nats_bench"])
@pytest.mark.parametrize("content", [b"", b"nonsense", pickle.dumps([1, 2]), None])
def test_other_files_are_refused(tmp_path: Path, kind: str, content: bytes | None) -> None:
    source = tmp_path / "source"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(HwnasError, match="source"):
        import_table(kind, source, tmp_path / "table.npz")
    assert not (tmp_path / "table.npz").exists()


def test_the_command(tmp_path: Path) -> None:
    source = str(_hw_nas_bench(tmp_path / "hw.pickle"))
    out = tmp_path / "hw.npz"
    result = CliRunner().invoke(app, ["import", "hw_nas_bench", source, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "edgegpu_latency_ms" in result.output
    assert out.exists()
    for arguments, named in (
        (["hw_nas", source, "--out", str(tmp_path / "o.npz")], "hw_nas"),
        (["hw_nas_bench", source, "--out", str(out)], "already"),
        (["hw_nas_bench", source, "--out", str(tmp_path / "o.csv")], "o.csv"),
    ):
        result = CliRunner().invoke(app, ["import", *arguments])
        assert isinstance(result.exception, HwnasError)
        assert named in result.exception.message
