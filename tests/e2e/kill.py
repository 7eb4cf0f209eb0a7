"""Killing a search and resuming it, as a machine or a person would."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

TINY: dict[str, Any] = {
    "task": {"name": "digits"},
    "space": {"name": "nas_bench_201", "cells": 1, "channels": 2},
    "objectives": [{"metric": "error"}, {"metric": "flops"}, {"metric": "params"}],
    "device": {"threads": 1},
    "search": {
        "name": "random",
        "evaluations": 120,
        "estimator": {"name": "train", "epochs": 1, "fraction": 0.3},
    },
    "estimate": {"shortlist": 1, "epochs": 1},
    "profile": {"replicates": 10, "seconds": 0.05},
    "tracking": {"uri": None},
    "seed": 3,
}

SEARCHES: dict[str, dict[str, Any]] = {
    "random": {"name": "random"},
    "aging": {"name": "aging", "population": 20, "sample": 5},
    "nsga2": {"name": "nsga2", "population": 12},
    "hyperband": {
        "name": "hyperband",
        "strategy": {"name": "nsga2", "population": 6},
        "estimator": {"name": "train", "epochs": 9, "fraction": 0.1},
    },
    "darts": {
        "name": "darts",
        "steps": 700,
        "estimator": {"name": "shared", "batch": 16, "horizon": 700},
    },
}
"""The strategies at work in these tests, in the notation of a pipeline file."""


def pipeline(folder: Path, **search: Any) -> Path:
    """A pipeline file with the tiny search, changed by ``search``."""
    data = {**TINY, "search": {**TINY["search"], **search}}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def hwnas(*arguments: object) -> subprocess.Popen[str]:
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "hwnas.cli.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(*arguments: object) -> None:
    """Run the command line to its end, which must be a good one."""
    process = hwnas(*arguments)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output


def last(folder: Path) -> int:
    """The last proposal told before the latest snapshot; -1 before the first."""
    path = folder / "trials.db"
    if not path.exists():
        return -1
    try:
        with sqlite3.connect(path, timeout=5) as db:
            row = db.execute("SELECT last FROM snapshot").fetchone()
    except sqlite3.OperationalError:  # the schema is not written yet
        return -1
    return -1 if row is None else int(row[0])


def interrupted(path: Path, folder: Path, kills: int, seed: int) -> int:
    """Search, killed ``kills`` times at random moments and resumed; how many kills struck."""
    rng = random.Random(seed)
    struck = 0
    for _ in range(kills):
        process = hwnas("search", path, "--out", folder, "--resume")
        before = last(folder)
        while process.poll() is None and last(folder) == before:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.2))
        struck += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    finish("search", path, "--out", folder, "--resume")
    return struck


def trials(folder: Path, *, measured: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The trials without what may differ: seconds, and the metrics that are ``measured``."""
    found = json.loads((folder / "front.json").read_text())["trials"]
    for trial in found:
        del trial["fidelity"]["seconds"]
        trial["metrics"] = {
            k: v for k, v in trial["metrics"].items() if not k.startswith(tuple(measured))
        }
    return list(found)
