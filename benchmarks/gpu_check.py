"""Quickstart, latency, memory and resume on a GPU, in under three minutes on an H200.

Writes ``benchmarks/results/gpu-<device>.json``. Where there is no GPU it says so and ends well.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def hwnas(*arguments: object) -> subprocess.Popen[bytes]:
    """Start the command line."""
    return subprocess.Popen([sys.executable, "-m", "hwnas.cli.main", *map(str, arguments)])


def run(*arguments: object) -> float:
    """Run the command line; seconds. Raises CalledProcessError if it does not end well."""
    started = time.perf_counter()
    process = hwnas(*arguments)
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return time.perf_counter() - started


def on_gpu(folder: Path, name: str, **sections: Any) -> Path:
    """The quickstart with ``device: cuda``, no tracking, and ``sections`` changed."""
    data = yaml.safe_load((ROOT / "pipelines" / "quickstart.yaml").read_text())
    data |= {"device": "cuda", "tracking": {"uri": None}, **sections}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def quickstart(folder: Path) -> dict[str, Any]:
    """All five stages; what the delivered model does."""
    path = on_gpu(folder, "quickstart")
    seconds = run("run", path, "--out", folder / "quickstart")
    (model,) = (folder / "quickstart" / "export").glob("*/model.json")
    data = json.loads(model.read_text())
    got = data["delivered"]
    kept = ("accuracy", "parity", "latency_ms", "provider", "fallback")
    return {
        "seconds": seconds,
        "promised_latency_ms": data["promised"]["latency_ms"],
        "delivered": {name: got[name] for name in kept},
    }


def latency_and_memory() -> dict[str, Any]:
    """Event times against wall time, and allocator peaks, of a small and a large network."""
    import numpy as np

    from hwnas.core import Device, Setting
    from hwnas.core.registry import create
    from hwnas.profile.memory import peak_bytes
    from hwnas.profile.runner import runner
    from hwnas.profile.stopwatch import Stopwatch
    from hwnas.space.moves import sample
    from hwnas.space.replay import build

    task = create("tasks", {"name": "digits"}, "task")
    rows = []
    for cells, channels, batch in ((1, 8, 1), (5, 16, 1), (5, 16, 256)):
        options = {"name": "nas_bench_201", "cells": cells, "channels": channels}
        space = create("spaces", options, "space", task.input, task.outputs)
        device = Device("cuda", batch)
        setting = Setting(space, task, device)
        architecture = sample(space, np.random.default_rng(1))
        call = runner(build(space, architecture), device)
        events = Stopwatch(200, 1.0, cuda=True).time(call)

        def synchronised(call: Any = call) -> None:
            call()
            torch.cuda.synchronize()

        wall = Stopwatch(200, 1.0).time(synchronised)
        memory = create("profilers", {"name": "memory"}, "profile", setting).measure(architecture)
        rows.append(
            {
                "cells": cells,
                "channels": channels,
                "batch": batch,
                "event_ms": events.median,
                "wall_ms": wall.median,
                "peak_memory_mb": memory["peak_memory_mb"],
                "analysed_mb": peak_bytes(build(space, architecture), batch, 4) / 1e6,
            }
        )
    return {"networks": rows}


def resume(folder: Path) -> dict[str, Any]:
    """A search killed three times and resumed has the trials of an undisturbed one."""
    objectives = [{"metric": "error"}, {"metric": "flops"}, {"metric": "params"}]
    path = on_gpu(folder, "resume", objectives=objectives)
    few = ("--set", "search.evaluations=24", "--set", "search.estimator.epochs=1")
    whole, broken = folder / "whole", folder / "broken"
    for out in (whole, broken):
        run("space", path, "--out", out, *few)
    run("search", path, "--out", whole, *few)
    killed = [
        killed_after(trials, broken, "search", path, "--out", broken, "--resume", *few)
        for trials in (3, 9, 16)
    ]
    run("search", path, "--out", broken, "--resume", *few)

    def found(out: Path) -> list[Any]:
        trials = json.loads((out / "front.json").read_text())["trials"]
        return [(t["id"], t["architecture"], t["metrics"]) for t in trials]

    same = found(whole) == found(broken)
    return {"killed_after": killed, "trials": len(found(whole)), "identical": same}


def killed_after(trials: int, out: Path, *arguments: object) -> int:
    """Kill a search in ``out`` once it has that many trials; how many it has."""
    process = hwnas(*arguments)
    while (done := kept(out / "trials.db")) < trials:
        if process.poll() is not None:
            raise SystemExit(
                f"gpu-check: the search ended with {done} trials, before it was killed"
            )
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return kept(out / "trials.db")


def kept(path: Path) -> int:
    """The trials in a store."""
    from hwnas.track.store import Store

    if not path.exists():
        return 0
    with Store(path) as store:
        return len(list(store.trials()))


def main() -> None:
    """Run all checks and write what was measured."""
    if not torch.cuda.is_available():
        sys.stdout.write("gpu-check: torch finds no GPU here, so nothing was checked.\n")
        return
    os.chdir(ROOT)
    from hwnas.profile.conditions import conditions

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = {
            "conditions": conditions(),
            "quickstart": quickstart(folder),
            **latency_and_memory(),
            "resume": resume(folder),
        }
    result["seconds"] = time.perf_counter() - started
    device = torch.cuda.get_device_name().lower().replace(" ", "-")
    path = RESULTS / f"gpu-{device}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    sys.stdout.write(f"gpu-check: {path.relative_to(ROOT)}\n")
    if not result["resume"]["identical"]:
        raise SystemExit("gpu-check: the resumed search differs from the undisturbed one")


if __name__ == "__main__":
    main()
