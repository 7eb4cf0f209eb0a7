"""The collapse of DARTS on NAS-Bench-201, what is seen of it before the end, and the remedy.

First-order DARTS on digits at the scale that fits here, with several seeds, each once to the end
and once with early stopping by the Hessian's largest eigenvalue (Zela et al. 2020). The networks
found are looked up in the published table (CIFAR-10, 200 epochs); Dong & Yang 2020, table 4, report
54.30 % test accuracy for the network of skip-connections that DARTS ends with. Reads the table in
``HWNAS_DATA``; writes ``benchmarks/results/collapse.json``.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from _nas_bench_201 import TABLE, rows

from hwnas.core import Context, Device, Objective, Objectives, Setting
from hwnas.core.registry import create
from hwnas.estimate.shared import Shared
from hwnas.profile.conditions import conditions
from hwnas.search.gradient.darts import Darts
from hwnas.space.nas_bench_201 import NasBench201

SEEDS, STEPS, WATCH, LR = 3, 2000, 50, 0.003
RESULT = Path(__file__).parent / "results" / "collapse.json"


def search(seed: int, stop: float) -> dict[str, Any]:
    """The network found, and what the strategy told of itself on the way."""
    task = create("tasks", {"name": "digits"}, "task")
    space = NasBench201(task.input, task.outputs, cells=1, channels=8)
    shared = Shared(Setting(space, task, Device(threads=1), seed=seed), horizon=STEPS)
    context = Context(space, Objectives([Objective(task.metrics[0])]), np.random.default_rng(seed))
    strategy = Darts(context, steps=STEPS, lr=LR, watch=WATCH, stop=stop)
    told: list[dict[str, Any]] = []
    warned = None
    while not strategy.done:
        (outcome,) = shared.estimate(strategy.ask(1))
        strategy.tell([outcome])
        step = strategy.progress[0]
        if strategy.warnings and warned is None:
            warned = step
        if step % WATCH == 0 and (not told or told[-1]["step"] != step):
            told.append({"step": step, **strategy.diagnostics})
    network = outcome.proposal.architecture
    table = np.load(TABLE)
    row = rows()[tuple(network.values())]
    return {
        "seed": seed,
        "stop": stop,
        "network": dict(network),
        "skips": list(network.values()).count("skip_connect"),
        "cifar10_test": float(table["c10_test_200"][row]),
        "warned_at": warned,
        "ended_at": strategy._step if not stop else told[-1]["step"],
        "told": told,
    }


def main() -> None:
    """Search and write."""
    if not TABLE.exists():
        sys.stderr.write(f"{TABLE} is absent: set HWNAS_DATA to the folder that holds it.\n")
        return
    found = []
    for seed in range(SEEDS):
        for stop in (0.0, 0.75):
            found.append(search(seed, stop))
            shown = {k: v for k, v in found[-1].items() if k != "told"}
            sys.stdout.write(json.dumps(shown) + "\n")
            sys.stdout.flush()
    about = {"steps": STEPS, "watch": WATCH, "lr": LR, "conditions": conditions()}
    RESULT.write_text(json.dumps({**about, "searches": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
