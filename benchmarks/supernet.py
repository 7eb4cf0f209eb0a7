"""Seconds a step of the supernet, beside the published algorithm written plainly.

Both sides of a row begin with the same weights and see the same data; the losses of the first steps
are compared, in double precision. Every side is a process of its own, with ``THREADS`` threads,
for its peak memory; sides take turns. Writes ``benchmarks/results/supernet.json``; ``rows`` as
arguments measure these only.
"""

import json
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import count, repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _plain_darts import Plain, Trainer

from hwnas.core import (
    Architecture,
    Context,
    Device,
    Mixture,
    Objective,
    Objectives,
    Setting,
    TensorType,
)
from hwnas.core.strategy import Strategy
from hwnas.estimate.nn.batches import Batches
from hwnas.estimate.nn.learner import Learner
from hwnas.estimate.shared import Shared
from hwnas.profile.conditions import conditions
from hwnas.search.gradient.darts import Darts
from hwnas.search.gradient.proxyless import Proxyless
from hwnas.space.darts import Darts as DartsSpace
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.space.replay import build, relax
from hwnas.task.classification import Classification
from hwnas.task.task import Split, SplitName

BATCH, THREADS, LOSSES = 16, 2, 2
STEPS, PATHS = 3, 20  # that are timed, of mixtures and of paths, which differ
ROUNDS = 2  # of each side in turn, as the machine's speed changes
LR, ALPHA_LR, HORIZON = 0.025, 3e-4, 1000
RESULT = Path(__file__).parent / "results" / "supernet.json"


class Noise(Classification):
    """Images of the size of CIFAR-10 with random labels."""

    mean, std = 0.0, 1.0
    input = TensorType((3, 32, 32))
    labels = [str(i) for i in range(10)]  # noqa: RUF012

    def read(self) -> Mapping[SplitName, Split]:
        """As many as a dozen steps see."""
        rng = np.random.default_rng(0)
        names: list[SplitName] = ["train", "valid", "test"]
        return {
            name: Split(
                rng.standard_normal((20 * BATCH, 3, 32, 32)).astype(np.float32),
                rng.integers(0, 10, 20 * BATCH),
            )
            for name in names
        }


SPACES: dict[str, Callable[[], Any]] = {
    "darts": lambda: DartsSpace(Noise.input, 10, cells=8, channels=16, affine=False),
    "nas_bench_201": lambda: NasBench201(Noise.input, 10, cells=5, channels=16),
}
ROWS: dict[str, tuple[str, str]] = {
    "darts, first order": ("darts", "1"),
    "darts, second order": ("darts", "2"),
    "darts, one path, weights": ("darts", "path"),
    "darts, one path, weights and alpha (proxyless)": ("darts", "proxyless"),
    "darts, one network, beside itself alone": ("darts", "network"),
    "nas_bench_201, first order": ("nas_bench_201", "1"),
    "nas_bench_201, one path, weights": ("nas_bench_201", "path"),
}


def estimator(space: Any, precision: Any, kind: Any = "cpu") -> Shared:
    """Ours, as a search has it."""
    setting = Setting(space, Noise(), Device(kind, threads=THREADS, precision=precision), seed=1)
    return Shared(setting, horizon=HORIZON, batch=BATCH, lr=LR)


def ours(row: str, precision: str, steps: int) -> dict[str, Any]:
    """Losses of the first steps, then the seconds of the next ones and the peak memory."""
    space = SPACES[ROWS[row][0]]()
    return timed(our_step(row, space, estimator(space, precision)), steps)


def our_step(row: str, space: Any, shared: Shared) -> Callable[[], float]:
    """Takes a step, and gives its loss."""
    kind = ROWS[row][1]
    context = Context(space, _error(), np.random.default_rng(1))
    if kind in ("path", "network"):
        points = paths(space) if kind == "path" else repeat(same(space))

        def step() -> float:
            loss, _ = shared._sharer.step(next(points))
            return loss

        return step
    strategy: Strategy = (
        Proxyless(context, steps=HORIZON)
        if kind == "proxyless"
        else Darts(context, steps=HORIZON, order=int(kind), lr=ALPHA_LR)  # type: ignore[arg-type]
    )
    if isinstance(strategy, Darts):
        for alpha in strategy._descents[0].parameters.values():
            alpha[:] = 0.0

    def search() -> float:
        for _ in range(strategy.turns):  # type: ignore[attr-defined]
            (outcome,) = shared.estimate(strategy.ask(1))
            assert outcome.failed is None, outcome.failed
            strategy.tell([outcome])
        return outcome.metrics["error"]

    return search


def plain(row: str, precision: str, steps: int) -> dict[str, Any]:
    """The same of the reference."""
    space = SPACES[ROWS[row][0]]()
    return timed(plain_step(row, space, estimator(space, precision)), steps)


def plain_step(row: str, space: Any, shared: Shared) -> Callable[[], float]:
    """A step of the reference that begins with the same weights and data."""
    kind, sharer = ROWS[row][1], shared._sharer
    trainer = Trainer(Plain(sharer.supernet), LR, ALPHA_LR, Noise.recipe.weight_decay)
    data = [
        [(x.contiguous(), y) for x, y in map(source.training, range(PATHS))]
        for source in (sharer._train, sharer._valid)
    ]
    trainer.net.to(data[0][0][0])
    del sharer
    numbers = iter(range(1000))
    points = paths(space)

    def rate(t: int) -> float:
        return LR * 0.5 * (1 + math.cos(math.pi * (t + 1) / (HORIZON + 1)))

    def search() -> float:
        t = next(numbers)
        train, valid = data
        order = int(kind)
        return trainer.step(train[t], rate(t), valid[t + 1], train[t + 1], order, rate(t + 1))

    def step() -> float:
        t = next(numbers) % PATHS
        active = next(points).active
        return trainer.descend(data[0][t], rate(t), {n: taken[0] for n, taken in active.items()})

    return step if kind == "path" else search


def paths(space: Any) -> Iterator[Mixture]:
    """One operation on every edge, all edges there, drawn anew each time."""
    _, choices = relax(space)
    rng = np.random.default_rng(2)
    while True:
        weights = {n: np.ones(len(c.options)) for n, c in choices.items()}
        active = {n: tuple(range(len(c.options))) for n, c in choices.items()}
        for name, choice in choices.items():
            if choice.k is None:
                taken = int(rng.integers(len(choice.options)))
                weights[name], active[name] = np.eye(len(choice.options))[taken], (taken,)
        yield Mixture(weights, active)


def same(space: Any) -> Architecture:
    """A network of the space."""
    return sample(space, np.random.default_rng(2))


def alone(row: str, precision: str, steps: int) -> dict[str, Any]:
    """That network as it is trained alone, for its memory."""
    space = SPACES[ROWS[row][0]]()
    device = Device(threads=THREADS, precision=precision)
    return timed(network_step(network(space, device), device), steps)


def network(space: Any, device: Device) -> Learner:
    """One of the space that is trained alone."""
    learner = Learner(build(space, same(space)), Noise(), device, 1, LR)
    learner.network.train()
    return learner


def network_step(learner: Learner, device: Device) -> Callable[[], float]:
    """Takes a training step of it, and gives its loss."""
    batches = Batches(Noise(), "train", device, 1, batch=BATCH)
    numbers = count()
    return lambda: float(learner._step(*batches.training(next(numbers))))


def timed(step: Callable[[], Any], steps: int) -> dict[str, Any]:
    """Losses of the first steps, the seconds of those after, and what they added to memory."""
    torch.set_num_threads(THREADS)
    before = resident()
    losses = [step() for _ in range(LOSSES)]
    seconds = []
    for _ in range(steps):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "losses": losses,
        "seconds": seconds,
        "peak_mb": peak,
        "added_mb": peak - before,
    }


def resident() -> float:
    """Megabytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def apart(side: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """In a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(side, *arguments).result()


def main() -> None:
    """Measure and write, row by row."""
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    rows = {r["step"]: r for r in known.get("rows", [])}
    for row in sys.argv[1:] or ROWS:
        kind = ROWS[row][1]
        sides = {"proxyless": [ours], "network": [alone, ours]}.get(kind, [plain, ours])
        steps = STEPS if kind in ("1", "2") else PATHS
        found: dict[str, Any] = {"step": row}
        for side in sides * ROUNDS:
            measured = apart(side, row, "float32", steps)
            measured["seconds"] += found.get(side.__name__, {"seconds": []})["seconds"]
            found[side.__name__] = measured
        for side in sides:
            found[side.__name__]["seconds"] = statistics.median(found[side.__name__]["seconds"])
        if plain in sides:
            # Single precision makes deep networks of small batches part within steps.
            exact = [apart(side, row, "float64", 0)["losses"] for side in sides]
            found["gap_float64"] = max(abs(a - b) for a, b in zip(*exact, strict=True))
            found["times_faster"] = found["plain"]["seconds"] / found["ours"]["seconds"]
        if alone in sides:
            found["times_memory"] = found["ours"]["added_mb"] / found["alone"]["added_mb"]
        rows[row] = found
        told = {"threads": THREADS, "batch": BATCH, "plain": "NCHW", "ours": "channels_last"}
        result = {**told, "rows": list(rows.values()), "conditions": conditions()}
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


def _error() -> Objectives:
    return Objectives([Objective(Noise.metrics[0])])


if __name__ == "__main__":
    main()
