"""Seconds a step of the supernet, beside the same mathematics written plainly.

The plain reference keeps NCHW, computes every option, and lets ``loss.backward()`` fill the
gradients of weights and mixture alike, as published implementations do. Writes
``benchmarks/results/supernet.json``; losses of both are compared first.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hwnas.core import Architecture, Device, Mixture, Setting
from hwnas.core.registry import create
from hwnas.estimate.nn.sharer import Sharer
from hwnas.profile.conditions import conditions
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.space.nn.supernet import Supernet

BATCH = 16
STEPS = 8
THREADS = 2


def plain_step(net: Supernet, optimiser: Any, data: Any, mixture: dict[str, torch.Tensor]) -> float:
    """Weight step, then the mixture's gradient, all by ``backward``."""
    every = {name: tuple(range(len(c.options))) for name, c in net.choices.items()}
    loss = torch.tensor(0.0)
    for x, y in data:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x, mixture, every), y)
        loss.backward()
        if x is data[0][0]:
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()
    return loss.item()


def median(call: Any) -> float:
    """Median seconds of ``STEPS`` calls after one to warm up."""
    call()
    times = []
    for _ in range(STEPS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(THREADS)
    task = create("tasks", {"name": "digits"}, "task")
    rows = []
    for cells, channels in ((1, 8), (2, 16)):
        space = NasBench201(task.input, task.outputs, cells=cells, channels=channels)
        setting = Setting(space, task, Device(threads=THREADS))
        sharer = Sharer(setting, horizon=10_000, batch=BATCH, lr=0.025, recalibrate=1)
        plain = Supernet(space)
        plain.load_state_dict(sharer.supernet.state_dict())
        optimiser = torch.optim.SGD(
            plain.parameters(), 0.025, momentum=0.9, weight_decay=task.recipe.weight_decay
        )
        even = {n: np.full(len(c.options), 1 / len(c.options)) for n, c in plain.choices.items()}
        point = Mixture(even)
        mixture = {n: torch.tensor(w, dtype=torch.float32) for n, w in even.items()}
        for weights in mixture.values():
            weights.requires_grad_()
        data = [sharer._train.training(0), sharer._valid.training(1)]
        data = [(x.contiguous(), y) for x, y in data]

        def ours(sharer: Sharer = sharer, point: Any = point) -> float:
            sharer.step(point)
            return sharer.gradient(point, 1)[0]

        def second(sharer: Sharer = sharer, point: Any = point) -> None:
            sharer.step(point)
            sharer.gradient(point, 2)

        path = Architecture({name: c.options[3] for name, c in plain.choices.items()})

        def single(sharer: Sharer = sharer, point: Any = path) -> None:
            sharer.step(point)

        losses = plain_step(plain, optimiser, data, mixture), ours()
        reference = median(lambda: plain_step(plain, optimiser, data, mixture))  # noqa: B023
        first = median(ours)
        rows.append(
            {
                "cells": cells,
                "channels": channels,
                "batch": BATCH,
                "first_losses": losses,
                "plain_s": reference,
                "first_order_s": first,
                "second_order_s": median(second),
                "single_path_weight_step_s": median(single),
                "plain_over_first_order": reference / first,
            }
        )
    result = {"threads": THREADS, "rows": rows, "conditions": conditions()}
    path_out = Path(__file__).parent / "results" / "supernet.json"
    path_out.write_text(json.dumps(result, indent=2) + "\n")
    sys.stdout.write(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
