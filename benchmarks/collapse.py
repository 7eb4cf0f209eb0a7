"""The collapse of DARTS on NAS-Bench-201, what is seen of it before the end, and the remedy.

Dong & Yang 2020, NAS-Bench-201, table 5: first-order DARTS ends with skip-connections on every
edge, 54.30 % test accuracy on CIFAR-10. It comes when the weights overfit, which takes tens of
epochs there; digits of which ``NOISE`` have a random label do it in hundreds of steps. Each seed
searches without a remedy and with each of those of Zela et al. 2020: early stopping by the
Hessian's largest eigenvalue, and weights that decay more. Theirs decay by .0027 to .0243 over
20,000 steps; these steps are 33 times fewer. What is found is looked up in the published table,
which is read in ``HWNAS_DATA``. Writes ``benchmarks/results/collapse.json``; names of remedies as
arguments search with these only.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from _files import measured_before, present
from _nas_bench_201 import ROOT, TABLE, rows
from _pages import fill

from hwnas.core import Context, Device, Objective, Objectives, Setting
from hwnas.estimate.shared import Shared
from hwnas.profile.conditions import conditions
from hwnas.search.gradient.darts import Darts
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.task.digits import Digits
from hwnas.task.task import Split, SplitName
from hwnas.track.diagnostics_picture import diagnostics_picture

SEEDS, STEPS, WATCH, LR, NOISE, WORKERS = 2, 600, 10, 0.02, 0.4, 2
SPACE = {"cells": 3, "channels": 8}
BATCH, WEIGHTS_LR = 32, 0.025
# Options of the strategy, and how much the weights decay.
REMEDIES: dict[str, tuple[dict[str, Any], float]] = {
    "none": ({}, 5e-4),
    "stop": ({"stop": 0.75}, 5e-4),
    "weight decay": ({}, 0.8),
}
RESULT = Path(__file__).parent / "results" / "collapse.json"


class Mislabelled(Digits):
    """Digits, a share ``NOISE`` of which have a label at random."""

    def read(self) -> Mapping[SplitName, Split]:
        """As many for the weights as for the architecture."""
        rng = np.random.default_rng(0)
        parts = super().read()
        return {
            name: replace(part, y=np.where(rng.random(len(part.y)) < NOISE,
                                           rng.integers(0, 10, len(part.y)), part.y))
            for name, part in parts.items()
        }  # fmt: skip


def search(job: tuple[int, str]) -> dict[str, Any]:
    """The network found, and what the strategy told of itself on the way."""
    seed, remedy = job
    options, decay = REMEDIES[remedy]
    task = Mislabelled(valid=1 / 3, test=1 / 3)
    space = NasBench201(task.input, task.outputs, **SPACE)
    setting = Setting(space, task, Device(threads=1), seed=seed)
    shared = Shared(setting, horizon=STEPS, batch=BATCH, lr=WEIGHTS_LR, weight_decay=decay)
    context = Context(space, Objectives([Objective(task.metrics[0])]), np.random.default_rng(seed))
    strategy = Darts(context, steps=STEPS, lr=LR, watch=WATCH, **options)
    told: list[dict[str, Any]] = []
    warned: dict[str, int] = {}  # the first words of a warning, and when it came
    rested = None
    while not strategy.done:
        (outcome,) = shared.estimate(strategy.ask(1))
        strategy.tell([outcome])
        step = strategy.progress[0]
        for warning in strategy.warnings if step < STEPS else ():
            warned.setdefault(" ".join(warning.split()[:3]), step)
        if strategy._descents[0].resting and rested is None:
            rested = told[-1]["step"]
        if rested is None and step % WATCH == 0 and step > len(told) * WATCH:
            told.append({"step": step, **strategy.diagnostics})
    network = outcome.proposal.architecture
    return {
        "seed": seed,
        "remedy": remedy,
        "network": dict(network),
        "skips": list(network.values()).count("skip_connect"),
        "cifar10_test": float(np.load(TABLE)["c10_test_200"][rows()[tuple(network.values())]]),
        "warned_at": warned,
        "stopped_at": rested,
        "told": told,
    }


def main() -> None:
    """Search and write."""
    if not present(TABLE):
        return
    remedies = sys.argv[1:] or list(REMEDIES)
    known = measured_before(RESULT).get("searches", [])
    found = [s for s in known if s["remedy"] not in remedies]
    jobs = [(seed, remedy) for seed in range(SEEDS) for remedy in remedies]
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        for each in pool.map(search, jobs):
            found.append(each)
            sys.stdout.write(json.dumps({k: v for k, v in each.items() if k != "told"}) + "\n")
            sys.stdout.flush()
    about = {"steps": STEPS, "watch": WATCH, "lr": LR, "noise": NOISE, **SPACE}
    RESULT.write_text(json.dumps({**about, "conditions": conditions(), "searches": found}) + "\n")
    page(found)


def page(searches: Sequence[Mapping[str, Any]]) -> None:
    """The table and the picture of the documentation."""
    by = {(s["seed"], s["remedy"]): s for s in searches}

    def ended(seed: int, remedy: str) -> str:
        one = by[seed, remedy]
        stopped = f" ({one['stopped_at']})" if one["stopped_at"] else ""
        return f"{one['skips']} of 6, {one['cifar10_test']:.2f} %{stopped}"

    without = [by[seed, "none"] for seed in range(SEEDS)]
    lines = [
        [
            str(one["seed"]),
            str(min(one["warned_at"].values(), default="")),
            *(ended(one["seed"], remedy) for remedy in REMEDIES),
        ]
        for one in without
    ]
    fill("docs/weight-sharing.md", "collapse", ["seed", "warned at", *REMEDIES], lines)
    worst = max(without, key=lambda s: s["skips"])
    told = [(t["step"], {n: v for n, v in t.items() if n != "step"}) for t in worst["told"]]
    diagnostics_picture(told, "darts", ROOT / "docs" / "collapse.png", "step")


if __name__ == "__main__":
    main()
