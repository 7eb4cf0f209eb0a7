"""Seconds a step of the supernet on a GPU: the published algorithm, ours as it is and recorded.

Recorded means that the third step becomes a CUDA graph, as it does by itself in a search
(``hwnas/estimate/nn/recorder.py``). All begin with the same weights and see the same data. Losses
are compared in double precision with those of the reference, and to the last bit between ours as it
is and recorded. The time of recording is told apart. Writes
``benchmarks/results/gpu-supernet-<device>.json`` and the table of the documentation; ``rows`` as
arguments measure these only. Where there is no GPU it says so and ends well.
"""

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _pages import fill
from supernet import BATCH, ROWS, SPACES, estimator, network, network_step, our_step, plain_step

from hwnas.core import Device
from hwnas.estimate.nn.recorder import Recorder
from hwnas.profile.conditions import conditions

STEPS, LOSSES, EXACT = 10, 6, 3  # timed; compared with each other; with the reference
FEW = {"darts, second order": 3}  # timed where a step takes seconds; its kernels are not counted
ALONE = "nas_bench_201, a network alone"
MEASURED = [
    "darts, first order",
    "darts, second order",
    "nas_bench_201, first order",
    "darts, one path, weights",
    "nas_bench_201, one path, weights",
    ALONE,
]


def side(row: str, name: str, precision: str, steps: int) -> dict[str, Any]:
    """Losses of the first steps, the time of each, then seconds a step and peak memory."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step = alone_step(name) if row == ALONE else supernet_step(row, name, precision)
    first = [timed(step) for _ in range(LOSSES if steps else EXACT)]
    seconds = [timed(step)[1] for _ in range(steps)]
    found: dict[str, Any] = {
        "losses": [loss for loss, _ in first],
        "first_seconds": [s for _, s in first],
        "peak_mb": (torch.cuda.max_memory_allocated() - before) / 2**20,
    }
    if seconds:
        found["seconds"] = statistics.median(seconds)
        if name == "ours" and row not in FEW:
            found["kernels"] = kernels(step)
    return found


def supernet_step(row: str, name: str, precision: str) -> Callable[[], float]:
    """A step of the supernet."""
    space = SPACES[ROWS[row][0]]()
    shared = estimator(space, precision, "cuda")
    if name == "plain":
        return plain_step(row, space, shared)
    if name == "ours":
        shared._sharer._recorder = Recorder(records=False)
    return our_step(row, space, shared)


def alone_step(name: str) -> Callable[[], float]:
    """A training step of a network alone."""
    device = Device("cuda")
    learner = network(SPACES["nas_bench_201"](), device)
    if name == "ours":
        learner._recorder = Recorder(records=False)
    return network_step(learner, device)


def timed(step: Callable[[], float]) -> tuple[float, float]:
    """The loss, and the seconds until the GPU has done it all."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    loss = step()
    torch.cuda.synchronize()
    return loss, time.perf_counter() - started


def kernels(step: Callable[[], float]) -> dict[str, Any]:
    """How many kernels a step starts, and the seconds that the GPU computes: the floor."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        step()
        torch.cuda.synchronize()
    ran = [e for e in profile.key_averages() if e.self_device_time_total]
    ran.sort(key=lambda e: -e.self_device_time_total)
    return {
        "count": sum(e.count for e in ran),
        "seconds": sum(e.self_device_time_total for e in ran) / 1e6,
        "longest": [
            [e.key[:60], e.count, round(e.self_device_time_total / 1e3, 2)] for e in ran[:8]
        ],
    }


def measured(row: str) -> dict[str, Any]:
    """All sides of a row."""
    found: dict[str, Any] = {"step": row}
    for name in ("ours", "recorded") if row == ALONE else ("plain", "ours", "recorded"):
        found[name] = side(row, name, "float32", FEW.get(row, STEPS))
        gc.collect()
    found["same"] = found["ours"]["losses"] == found["recorded"]["losses"]
    found["times_faster_by_recording"] = found["ours"]["seconds"] / found["recorded"]["seconds"]
    if row != ALONE:
        found["times_faster"] = found["plain"]["seconds"] / found["recorded"]["seconds"]
    return found


def gap(row: str) -> float:
    """The largest difference of the first losses from the reference, in double precision."""
    exact = []
    for name in ("plain", "recorded"):
        exact.append(side(row, name, "float64", 0)["losses"])
        gc.collect()
    return max(abs(a - b) for a, b in zip(*exact, strict=True))


def main() -> None:
    """Measure and write, row by row."""
    if not torch.cuda.is_available():
        sys.stdout.write("gpu_supernet: torch finds no GPU here, so nothing was measured.\n")
        return
    device = torch.cuda.get_device_name().lower().replace(" ", "-")
    path = Path(__file__).parent / "results" / f"gpu-supernet-{device}.json"
    known = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = {row["step"]: row for row in known}

    def keep() -> None:
        result = {"batch": BATCH, "rows": list(rows.values()), "conditions": conditions()}
        path.write_text(json.dumps(result, indent=2) + "\n")

    for row in sys.argv[1:] or MEASURED:
        rows[row] = measured(row)
        keep()
        if row != ALONE:
            rows[row]["gap_float64"] = gap(row)
            keep()
        sys.stdout.write(json.dumps(rows[row]) + "\n")
        sys.stdout.flush()
    page(list(rows.values()))


def page(rows: list[dict[str, Any]]) -> None:
    """The table of the documentation: milliseconds a step."""
    head = ["step", "as published", "kernel by kernel", "recorded", "kernels", "they compute for"]
    lines = []
    for row in rows:
        ms = [
            f"{1000 * row[name]['seconds']:.1f}" if name in row else ""
            for name in ("plain", "ours", "recorded")
        ]
        ran = row["ours"].get("kernels") or {}
        floor = [str(ran.get("count", "")), f"{1000 * ran['seconds']:.1f}" if ran else ""]
        lines.append([row["step"], *ms, *floor])
    fill("docs/weight-sharing.md", "gpu", head, lines)


if __name__ == "__main__":
    main()
