"""How well scores with shared or generated weights rank networks, on Fashion-MNIST.

Random networks of NAS-Bench-201 are trained alone, with two seeds, and then scored by each way of
sharing weights; Kendall's tau-b of validation errors, those alone averaged. The tau of one seed
with the other tells what can be hoped for. Images are halved to 14 x 14, so that the whole takes
minutes. Reads them in ``HWNAS_DATA``; writes ``benchmarks/results/one_shot_ranking.json`` as it
goes, and goes on from there; names as arguments measure these again.
"""

import json
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
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

IMAGES = TABLE.with_name("fashion_mnist_10k_2k.npz")
RESULT = Path(__file__).parent / "results" / "one_shot_ranking.json"
NETWORKS, EPOCHS, SEEDS, WORKERS = 60, 6, (1, 2), 2
# A step of one path is the cheapest.
STEPS = {"one_shot": 2500, "one_shot, uniform": 8000, "smash": 2500, "ghn": 2500}
# Strategy and estimator.
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "one_shot": ({"name": "one_shot"}, {"name": "shared"}),
    "one_shot, uniform": ({"name": "one_shot", "sampling": "uniform"}, {"name": "shared"}),
    "smash": ({"name": "smash"}, {"name": "hypernet", "kind": "smash"}),
    "ghn": ({"name": "ghn"}, {"name": "hypernet", "kind": "ghn"}),
}


class Halved(Classification):
    """Fashion-MNIST, the mean of every 2 x 2 pixels; 8,000 images to train, 2,000 to validate."""

    scale = 255.0
    input = TensorType((1, 14, 14))
    labels = list(FashionMNIST.classes)  # noqa: RUF012

    def read(self) -> Mapping[SplitName, Split]:
        """From the file."""
        with np.load(IMAGES) as file:
            x, y = (
                np.concatenate([file[f"{name}_train"], file[f"{name}_test"]]) for name in ("x", "y")
            )
        small = x.reshape(len(x), 14, 2, 14, 2).mean(axis=(2, 4)).astype(np.uint8)[:, None]
        y = y.astype(np.int64)
        ends: dict[SplitName, slice] = {
            "train": slice(8000),
            "valid": slice(8000, 10_000),
            "test": slice(10_000, None),
        }
        return {name: Split(small[rows], y[rows]) for name, rows in ends.items()}


def setting(seed: int = 1) -> Setting:
    """Three cells of 8 channels, one thread."""
    task = Halved()
    space = NasBench201(task.input, task.outputs, cells=1, channels=8)
    return Setting(space, task, Device(threads=1), seed)


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
    given = setting(seed)
    estimator = create("estimators", {"name": "train", "epochs": EPOCHS}, "estimator", given)
    return errors(given, estimator, [networks(given)[number]], train=EPOCHS)[0]


def shared(way: str) -> dict[str, Any]:
    """Of all, with the weights of one model."""
    given = setting()
    strategy_config, estimator_config = WAYS[way]
    steps = STEPS[way]
    estimator = create("estimators", {**estimator_config, "horizon": steps}, "estimator", given)
    strategy = create("strategies", {**strategy_config, "steps": steps}, "search", context(given))
    started = time.perf_counter()
    while strategy.progress[0] < steps:
        strategy.tell(list(estimator.estimate(strategy.ask(1))))
    trained = time.perf_counter() - started
    found = errors(given, estimator, networks(given), train=0)
    return {"steps": steps, "seconds_of_training": trained, "errors": found}


def main() -> None:
    """Train, score, compare and write."""
    if not IMAGES.exists():
        sys.stderr.write(f"{IMAGES} is absent: set HWNAS_DATA to the folder that holds it.\n")
        return
    about: dict[str, Any] = {"networks": NETWORKS, "epochs": EPOCHS}
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    if any(known.get(name) != value for name, value in about.items()):
        known = about
    trained = known.setdefault("alone", {})
    ways = known.setdefault("ways", {})
    names = sys.argv[1:] or [way for way in WAYS if way not in ways]

    def keep() -> None:
        RESULT.write_text(json.dumps(known | {"conditions": conditions()}) + "\n")

    jobs = [(seed, i) for seed in SEEDS for i in range(len(trained.get(str(seed), [])), NETWORKS)]
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        for (seed, i), error in zip(jobs, pool.map(alone, jobs), strict=True):
            trained.setdefault(str(seed), []).append(error)
            sys.stderr.write(f"seed {seed}: {i + 1} of {NETWORKS} trained alone\n")
            keep()
        for name, found in zip(names, pool.map(shared, names), strict=True):
            ways[name] = found
            keep()
    every = np.array([trained[str(seed)] for seed in SEEDS])
    known["ceiling"] = float(kendalltau(*every).statistic)
    for name, way in ways.items():
        way["tau"] = float(kendalltau(every.mean(axis=0), way["errors"]).statistic)
        sys.stdout.write(f"{name:20} tau {way['tau']:.3f}, {way['seconds_of_training']:.0f} s\n")
    keep()
    page(known)


def page(result: Mapping[str, Any]) -> None:
    """The table of the documentation."""
    head = ["strategy", "tau", "steps", "seconds of training"]
    lines = [
        [f"`{n}`", f"{w['tau']:.2f}", str(w["steps"]), f"{w['seconds_of_training']:.0f}"]
        for n, w in result["ways"].items()
    ]
    lines.append(["one seed alone with the other", f"{result['ceiling']:.2f}", "", ""])
    fill("docs/weight-sharing.md", "ranking", head, lines)


if __name__ == "__main__":
    main()
