"""TorchScript against dynamo exporter for the same networks: time, nodes, latency of the file.

    python benchmarks/export.py

writes ``benchmarks/results/export.json``. Exports are repeated, the first apart, as that of the
first case holds what torch imports for it; the two files are timed in ONNX Runtime in turn, so that
drift of the machine meets both alike.
"""

import gc
import json
import platform
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
import torch

from hwnas.core.architecture import Architecture
from hwnas.core.tensor_type import TensorType
from hwnas.export.onnx import Onnx, load
from hwnas.export.runtime import Session
from hwnas.space import replay
from hwnas.space.nas_bench_201 import NasBench201, from_string
from hwnas.space.nn.network import Network

RESULTS = Path(__file__).parent / "results" / "export.json"
EXPORTERS: tuple[Literal["torchscript", "dynamo"], ...] = ("torchscript", "dynamo")
REPEATS = 5  # exports, the first not counted
WARM_UP = 50  # runs of each file
ROUNDS = 400  # timed runs of each file
# Every operation of the space, and a path through every node.
CELL = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|"
CASES = {
    "digits, cells 1, channels 8": NasBench201(TensorType((1, 8, 8)), 10, cells=1, channels=8),
    "cifar10, cells 5, channels 16": NasBench201(TensorType((3, 32, 32)), 10),
}


def trained(space: NasBench201, architecture: Architecture) -> dict[str, np.ndarray]:
    """Random weights with batch norm statistics unlike each other, as training leaves them.

    Fresh ones are equal, and an exporter would share them between layers.
    """
    torch.manual_seed(0)
    network = Network(replay.build(space, architecture))
    for name, value in network.state_dict().items():
        if value.dim() == 1 and name.endswith(("weight", "running_var")):
            value.uniform_(0.5, 2)
        elif value.dim() == 1:
            value.normal_(std=0.1)
    return {name: value.numpy() for name, value in network.state_dict().items()}


def interval(times: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Median, its 95 % bootstrap interval, and the tails, in milliseconds."""
    medians = np.median(rng.choice(times, (1000, len(times))), axis=1)
    return {
        "latency_ms": float(np.median(times)),
        "latency_low_ms": float(np.quantile(medians, 0.025)),
        "latency_high_ms": float(np.quantile(medians, 0.975)),
        "latency_p95_ms": float(np.quantile(times, 0.95)),
        "latency_p99_ms": float(np.quantile(times, 0.99)),
    }


def interleaved(sessions: dict[str, Session], x: np.ndarray) -> dict[str, np.ndarray]:
    """Milliseconds of each run, the order turned round every time."""
    times: dict[str, list[float]] = {name: [] for name in sessions}
    order = list(sessions)
    gc.collect()
    gc.disable()
    for i in range(WARM_UP + ROUNDS):
        for name in order if i % 2 else reversed(order):
            start = time.perf_counter_ns()
            sessions[name].run(x)
            if i >= WARM_UP:
                times[name].append((time.perf_counter_ns() - start) / 1e6)
    gc.enable()
    return {name: np.array(values) for name, values in times.items()}


def compare(space: NasBench201, folder: Path) -> dict[str, Any]:
    """Both exporters on one network."""
    rng = np.random.default_rng(0)
    architecture = from_string(CELL)
    weights = trained(space, architecture)
    x = rng.standard_normal((1, *space.input.shape), dtype=np.float32)
    with torch.no_grad():
        expected = load(space, architecture, weights)(torch.from_numpy(x)).numpy()
    result: dict[str, Any] = {}
    sessions: dict[str, Session] = {}
    for name in EXPORTERS:
        exporter = Onnx(space, exporter=name)
        path = folder / f"{name}.onnx"
        artifacts = [exporter.export(architecture, weights, path) for _ in range(REPEATS)]
        sessions[name] = Session(path, "cpu", 1)
        result[name] = {
            "first_export_s": artifacts[0].seconds,
            "export_s": float(np.median([a.seconds for a in artifacts[1:]])),
            "nodes": len(onnx.load(path).graph.node),
            "bytes": artifacts[0].bytes,
            "parity": float(np.abs(sessions[name].run(x) - expected).max()),
        }
    times = interleaved(sessions, x)
    for name in EXPORTERS:
        result[name] |= interval(times[name], rng)
    ratio = times["dynamo"] / times["torchscript"]
    result["latency_dynamo_by_torchscript"] = float(np.median(ratio))
    return result


def processor() -> str:
    """The name of the CPU, where Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def main() -> None:
    """Run every case and write the results."""
    torch.set_num_threads(1)
    report: dict[str, Any] = {
        "conditions": {
            "processor": processor(),
            "threads": 1,
            "batch": 1,
            "precision": "float32",
            "opset": 18,
            "cell": CELL,
            "exports": REPEATS - 1,
            "runs": ROUNDS,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnxruntime": onnxruntime.__version__,
        },
        "cases": {},
    }
    for case, space in CASES.items():
        with TemporaryDirectory() as folder:
            report["cases"][case] = compare(space, Path(folder))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    sys.stdout.write(RESULTS.read_text())


if __name__ == "__main__":
    main()
