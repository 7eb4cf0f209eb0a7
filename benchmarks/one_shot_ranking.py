"""How well scores with shared or generated weights rank networks, on Fashion-MNIST.

Random networks of NAS-Bench-201 are trained alone, with two seeds, and then scored by each way of
sharing weights; Kendall's tau-b of validation errors, those alone averaged. The tau of one seed
with the other tells what can be hoped for.

With the whole set, if ``HWNAS_DATA`` has it as ``fashion_mnist.npz`` (in the form of the task's
``file``): on a GPU, or for hours. Without it with 10,000 images halved to 14 x 14, so that it takes
minutes on a CPU. Writes ``results/one_shot_ranking-<scale>.json`` as it goes, and goes on
from there; names as arguments measure these again.
"""

import json
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from _files import present
from _nas_bench_201 import TABLE
from _pages import fill
from scipy.stats import kendalltau

from hwnas.core import Architecture, Context, Device, Objective, Objectives, Setting, TensorType
from hwnas.core.registry import create
from hwnas.profile.conditions import conditions
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.task.classification import Classification
from hwnas.task.fashion_mnist import FashionMNIST
from hwnas.task.task import Split, SplitName

NETWORKS, SEEDS = 60, (1, 2)


@dataclass(frozen=True)
class Scale:
    """How large it is done; a step of one path is the cheapest."""

    images: Path
    halved: bool
    train: int
    valid: int
    epochs: int
    batch: int  # of networks alone; shared weights have the task's
    lr: float
    workers: int
    steps: Mapping[str, int]


SCALES: dict[str, Scale] = {
    "halved": Scale(
        TABLE.with_name("fashion_mnist_10k_2k.npz"),
        halved=True,
        train=8000,
        valid=2000,
        epochs=6,
        batch=64,
        lr=0.05,
        workers=2,
        steps={"one_shot": 2500, "one_shot, uniform": 8000, "smash": 2500, "ghn": 2500},
    ),
    "whole": Scale(
        TABLE.with_name("fashion_mnist.npz"),
        halved=False,
        train=50_000,
        valid=10_000,
        epochs=10,
        batch=256,
        lr=0.1,
        workers=3,  # processes take turns on a GPU
        steps={"ghn": 2500, "one_shot": 2500, "one_shot, uniform": 10_000, "smash": 2500},
    ),
}
KIND: Literal["cpu", "cuda"] = "cuda" if torch.cuda.is_available() else "cpu"
NAME = "whole" if SCALES["whole"].images.exists() else "halved"
SCALE = SCALES[NAME]
RESULTS = Path(__file__).parent / "results"
RESULT = RESULTS / f"one_shot_ranking-{NAME}.json"
WHOLE = RESULTS / "one_shot_ranking-whole.json"
# Strategy and estimator.
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "one_shot": ({"name": "one_shot"}, {"name": "shared"}),
    "one_shot, uniform": ({"name": "one_shot", "sampling": "uniform"}, {"name": "shared"}),
    "smash": ({"name": "smash"}, {"name": "hypernet", "kind": "smash"}),
    "ghn": ({"name": "ghn"}, {"name": "hypernet", "kind": "ghn"}),
}


class Fashion(Classification):
    """Fashion-MNIST; halved, the mean of every 2 x 2 pixels."""

    scale = 255.0
    input = TensorType((1, 14, 14) if SCALE.halved else (1, 28, 28))
    labels = list(FashionMNIST.classes)  # noqa: RUF012

    def read(self) -> Mapping[SplitName, Split]:
        """From the file."""
        with np.load(SCALE.images) as file:
            x, y = (
                np.concatenate([file[f"{name}_train"], file[f"{name}_test"]]) for name in ("x", "y")
            )
        if SCALE.halved:
            x = x.reshape(len(x), 14, 2, 14, 2).mean(axis=(2, 4)).astype(np.uint8)
        x, y = x[:, None], y.astype(np.int64)
        end = SCALE.train + SCALE.valid
        parts: dict[SplitName, slice] = {
            "train": slice(SCALE.train),
            "valid": slice(SCALE.train, end),
            "test": slice(end, None),
        }
        return {name: Split(x[rows], y[rows]) for name, rows in parts.items()}


@cache
def setting(seed: int = 1) -> Setting:
    """Three cells of 8 channels, one thread."""
    task = Fashion()
    space = NasBench201(task.input, task.outputs, cells=1, channels=8)
    return Setting(space, task, Device(KIND, threads=1), seed)


@cache
def trainer(seed: int) -> Any:
    """What trains networks alone."""
    config = {"name": "train", "epochs": SCALE.epochs, "batch": SCALE.batch, "lr": SCALE.lr}
    return create("estimators", config, "estimator", setting(seed))


def context(given: Setting) -> Context:
    """The error alone; its generator draws the networks, and what is trained."""
    error = Objectives([Objective(given.task.metrics[0])])
    return Context(given.space, error, np.random.default_rng(1))


def networks(given: Setting) -> list[Architecture]:
    """Distinct random ones."""
    rng = np.random.default_rng(0)
    found: dict[Architecture, None] = {}
    while len(found) < NETWORKS:
        found[sample(given.space, rng)] = None
    return list(found)


def errors(given: Setting, estimator: Any, of: list[Architecture], **spend: Any) -> list[float]:
    """Validation errors as the estimator tells them."""
    about = context(given)
    proposals = [about.propose(network, **spend) for network in of]
    outcomes = {o.proposal.id: o for o in estimator.estimate(proposals)}
    return [outcomes[p.id].metrics["error"] for p in proposals]


def alone(job: tuple[int, int]) -> float:
    """Of one network trained from scratch with a seed."""
    seed, number = job
    network = networks(setting(seed))[number]
    return errors(setting(seed), trainer(seed), [network], train=SCALE.epochs)[0]


def shared(way: str) -> dict[str, Any]:
    """Of all, with the weights of one model."""
    given = setting()
    strategy_config, estimator_config = WAYS[way]
    steps = SCALE.steps[way]
    estimator = create("estimators", {**estimator_config, "horizon": steps}, "estimator", given)
    strategy = create("strategies", {**strategy_config, "steps": steps}, "search", context(given))
    started = time.perf_counter()
    while strategy.progress[0] < steps:
        strategy.tell(list(estimator.estimate(strategy.ask(1))))
    trained = time.perf_counter() - started
    found = errors(given, estimator, networks(given), train=0)
    return {"steps": steps, "seconds_of_training": trained, "device": KIND, "errors": found}


def main() -> None:
    """Train, score, compare and write."""
    if not present(SCALE.images):
        return
    about = {"networks": NETWORKS, **asdict(SCALE), "images": SCALE.images.name}
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    if any(known.get(name) != value for name, value in about.items()):
        known = about
    trained = known.setdefault("alone", {})
    ways = known.setdefault("ways", {})
    names = sys.argv[1:] or [way for way in SCALE.steps if way not in ways]

    def keep() -> None:
        judge(known)
        RESULT.write_text(json.dumps(known | {"conditions": conditions()}) + "\n")

    jobs = [(seed, i) for seed in SEEDS for i in range(len(trained.get(str(seed), [])), NETWORKS)]
    started = time.perf_counter()
    with ProcessPoolExecutor(SCALE.workers, get_context("spawn")) as pool:
        scored = {name: pool.submit(shared, name) for name in names}  # the longest, so they begin
        for (seed, i), error in zip(jobs, pool.map(alone, jobs), strict=True):
            trained.setdefault(str(seed), []).append(error)
            ways |= {name: scored.pop(name).result() for name in names if done(scored, name)}
            passed = time.perf_counter() - started
            sys.stderr.write(f"{passed:.0f} s, seed {seed}: {i + 1} of {NETWORKS} trained alone\n")
            keep()
        ways |= {name: found.result() for name, found in scored.items()}
    keep()
    for name, way in ways.items():
        sys.stdout.write(f"{name:20} tau {way['tau']:.3f}, {way['seconds_of_training']:.0f} s\n")
    page(known, NAME)


def done(scored: Mapping[str, Future[Any]], name: str) -> bool:
    """Whether there is a result to be taken."""
    return name in scored and scored[name].done()


def judge(known: dict[str, Any]) -> None:
    """Kendall's tau of each way with the mean of the seeds that are complete, and between them.

    Those of the halved scale are also compared with the trainings at the whole one.
    """
    seeds = complete(known)
    truths = {"tau": seeds}
    if NAME == "halved" and WHOLE.exists():
        truths["tau_whole"] = complete(json.loads(WHOLE.read_text()))
    for name, truth in truths.items():
        for way in known["ways"].values() if truth else ():
            way[name] = tau(np.mean(truth, axis=0), way["errors"])
    if len(seeds) > 1:
        known["ceiling"] = tau(*seeds)
    if seeds and truths.get("tau_whole"):
        known["ceiling_whole"] = tau(*(np.mean(truth, axis=0) for truth in truths.values()))


def tau(a: Any, b: Any) -> float:
    """Kendall's tau-b."""
    return float(kendalltau(a, b).statistic)


def complete(known: Mapping[str, Any]) -> list[list[float]]:
    """The errors of all networks alone, by seed."""
    return [errors for errors in known["alone"].values() if len(errors) == NETWORKS]


def page(result: Mapping[str, Any], scale: str) -> None:
    """The table of the documentation."""
    taus = ["tau", *(["tau_whole"] if "ceiling_whole" in result else [])]
    head = ["strategy", "tau", *["tau with the whole"] * (len(taus) - 1), "steps", "seconds"]
    lines = [
        [f"`{n}`", *(f"{w[t]:.2f}" for t in taus), str(w["steps"]), _seconds(w)]
        for n, w in result["ways"].items()
    ]
    if "ceiling" in result:
        last = [f"{result[c]:.2f}" for c in ("ceiling", "ceiling_whole") if c in result]
        lines.append(["networks alone", *last, "", ""])
    fill("docs/weight-sharing.md", f"ranking-{scale}", head, lines)


def _seconds(way: Mapping[str, Any]) -> str:
    return f"{way['seconds_of_training']:.0f} ({way['device']})"


if __name__ == "__main__":
    main()
