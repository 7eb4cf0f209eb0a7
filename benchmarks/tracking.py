"""Seconds a trial to mirror into MLflow: ours against the fluent API, and what a search notices.

    python benchmarks/tracking.py

writes ``benchmarks/results/tracking.json``. Both write the same 300 trials to an SQLite file of
their own, in a process of their own, tables made and MLflow imported before the clock starts. Then
a call of some microseconds, such as a latency is measured by, is timed again and again: alone,
beside a mirror in a thread, and beside the mirror in its process.
"""

import json
import os
import platform
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "ERROR"}

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.outcome import Outcome, Spent
from hwnas.core.proposal import Proposal
from hwnas.track.mlflow import Mirror
from hwnas.track.store import Store

RESULTS = Path(__file__).parent / "results" / "tracking.json"
TRIALS = 300
REPEATS = 3
METRICS = (
    "error", "latency_ms", "latency_p95_ms", "latency_p99_ms", "latency_low_ms", "latency_high_ms",
    "peak_memory_mb", "flops", "params",
)  # fmt: skip


def outcomes(n: int) -> list[Outcome]:
    """Trials as the quickstart has them: six choices, nine metrics."""
    rng = np.random.default_rng(0)
    edges = [f"{i}-{j}" for j in range(1, 4) for i in range(j)]
    return [
        Outcome(
            Proposal(id, Architecture({e: f"op{rng.integers(5)}" for e in edges}), 8),
            dict(zip(METRICS, rng.random(len(METRICS)).tolist(), strict=True)),
            spent=Spent(8, 160, 2.0),
        )
        for id in range(n)
    ]


def prepare(folder: Path, n: int) -> str:
    """A run folder of ``n`` trials; the address of an MLflow whose tables are made."""
    trials = outcomes(n)
    with Store(folder / "trials.db") as store:
        store.commit(trials=trials)
    objective = {"name": "error", "unit": "", "goal": "min", "limit": None}
    front = {"objectives": [objective], "trials": [], "curve": [[i, i / n] for i in range(n)]}
    (folder / "front.json").write_text(json.dumps(front))
    uri = f"sqlite:///{folder}/mlflow.db"
    from mlflow import MlflowClient

    MlflowClient(uri).search_experiments()
    return uri


def ours(folder: Path) -> float:
    """Seconds of the one sync that mirrors all."""
    uri = prepare(folder, TRIALS)
    mirror = Mirror(uri, "benchmark", folder, "ours")
    start = time.perf_counter()
    if not mirror.sync():
        raise RuntimeError("the mirror is behind")
    return time.perf_counter() - start


def fluent(folder: Path) -> float:
    """Seconds of what MLflow's guide shows."""
    import mlflow

    mlflow.set_tracking_uri(prepare(folder, TRIALS))
    mlflow.set_experiment("benchmark")
    trials = outcomes(TRIALS)
    start = time.perf_counter()
    with mlflow.start_run(run_name="fluent"):
        for n, outcome in enumerate(trials):
            with mlflow.start_run(run_name=f"trial {n}", nested=True):
                mlflow.log_params(outcome.proposal.point.to_json())
                mlflow.log_metrics(dict(outcome.metrics))
            mlflow.log_metric("hypervolume", n / TRIALS, step=n)
    return time.perf_counter() - start


def noticed(folder: Path) -> dict[str, dict[str, float]]:
    """Microseconds of a small call, with nothing and with either mirror beside it."""
    uri = prepare(folder, TRIALS)
    x = np.ones((64, 64), dtype=np.float32)

    def timed(seconds: float) -> dict[str, float]:
        times = []
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            for _ in range(20):
                x @ x
            times.append((time.perf_counter() - start) * 1e6)
        p50, p95, p99 = np.quantile(times, (0.5, 0.95, 0.99))
        return {"p50_us": float(p50), "p95_us": float(p95), "p99_us": float(p99)}

    found = {"alone": timed(4)}
    thread = threading.Thread(target=Mirror(uri, "thread", folder, "thread").sync)
    thread.start()
    found["thread"] = timed(4)
    thread.join()
    mirror = Mirror(uri, "process", folder, "process")
    mirror.start()
    time.sleep(3)  # its import, which in the thread was done before
    found["process"] = timed(4)
    mirror.close()
    return found


def apart(what: str) -> Any:
    """The result of one of these functions in a process and folder of its own."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, __file__, what, folder]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """All of it, ours and the other in turn."""
    pairs = [(apart("ours"), apart("fluent")) for _ in range(REPEATS)]
    mine, theirs = (float(np.median(column)) / TRIALS for column in zip(*pairs, strict=True))
    ratios = sorted(b / a for a, b in pairs)
    result = {
        "trials": TRIALS,
        "repeats": REPEATS,
        "mirror_seconds_a_trial": mine,
        "fluent_seconds_a_trial": theirs,
        "fluent_over_mirror": ratios[REPEATS // 2],
        "fluent_over_mirror_range": [ratios[0], ratios[-1]],
        "small_call_beside": apart("noticed"),
        "conditions": {
            "machine": platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "load": round(os.getloadavg()[0], 2),
            "python": platform.python_version(),
            "mlflow": version("mlflow"),
        },
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure = {"ours": ours, "fluent": fluent, "noticed": noticed}[sys.argv[1]]
        print(json.dumps(measure(Path(sys.argv[2]))))
    else:
        main()
