"""Every strategy that shares weights beside random search, on digits in the same time.

Each search has ``SECONDS``: half of it for shared weights, the rest for training what it found from
scratch, as many networks as there is time for; random search trains all the time. The hypervolume
is that of error and latency of the networks that are on the front by their validation error, with
the test error of the stand-alone training and the measured latency; the box ends at chance and at
the slowest network of all. How many steps fit into a search is measured before its time begins.
Writes ``benchmarks/results/weight_sharing.json``; names as arguments measure only these.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from _files import measured_before
from _pages import fill

from hwnas.core import (
    Architecture,
    Context,
    Device,
    Metric,
    Mixture,
    Objective,
    Objectives,
    Outcome,
    Setting,
)
from hwnas.core.pareto import fronts, hypervolume
from hwnas.core.registry import create
from hwnas.estimate.nn.batches import Batches
from hwnas.estimate.nn.learner import Learner
from hwnas.pipeline.ranking import ranking
from hwnas.profile.conditions import conditions
from hwnas.profile.expectation import Expectation
from hwnas.profile.latency import Latency
from hwnas.profile.operator_times import OperatorTimes
from hwnas.profile.stopwatch import Stopwatch
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.space.replay import build

RESULT = Path(__file__).parent / "results" / "weight_sharing.json"
SECONDS, SHARE, EPOCHS, SEEDS, WORKERS = 30.0, 0.5, 8, 10, 2
SCORED, PREFERENCES = 30, 8  # as many as there is time to train
TRIAL_STEPS, TRIALS = 20, 4
TRAVEL = 5.0  # how far each preference's parameters can get: steps times learning rate
CHANCE = 0.9
LATENCY = Metric("latency_ms", unit="ms", cheap=True)  # of operations timed beforehand


def gradient(name: str, **options: Any) -> Callable[[int], dict[str, Any]]:
    """The config of a gradient strategy by its number of steps."""
    return lambda steps: {
        "name": name,
        "steps": steps,
        "preferences": PREFERENCES,
        "lr": TRAVEL * PREFERENCES / steps,
        **options,
    }


def enas(steps: int) -> dict[str, Any]:
    """Up to ten rounds, a third of each for the policy, which learns from ten networks at once."""
    rounds = min(10, max(1, steps // 30))
    policy = steps // rounds // 3
    options = {"shared_steps": steps // rounds - policy, "controller_steps": policy}
    return {"name": "enas", "rounds": rounds, **options}


EVOLUTION = {"strategy": {"name": "nsga2", "population": 10}}
# Strategies by their number of steps, and their estimators.
WAYS: dict[str, tuple[Callable[[int], dict[str, Any]], dict[str, Any]]] = {
    "one_shot": (lambda n: {"name": "one_shot", "steps": n, **EVOLUTION}, {"name": "shared"}),
    "enas": (enas, {"name": "shared"}),
    "smash": (lambda n: {"name": "smash", "steps": n}, {"name": "hypernet", "kind": "smash"}),
    "ghn": (lambda n: {"name": "ghn", "steps": n}, {"name": "hypernet", "kind": "ghn"}),
    "darts": (gradient("darts"), {"name": "shared"}),
    "darts, second order": (gradient("darts", order=2), {"name": "shared"}),
    "snas": (gradient("snas"), {"name": "shared"}),
    "proxyless": (gradient("proxyless"), {"name": "shared"}),
    "mask_connect": (gradient("mask_connect"), {"name": "shared"}),
}


def setting(seed: int) -> Setting:
    """Digits, three cells of 8 channels, one thread."""
    task = create("tasks", {"name": "digits"}, "task")
    space = NasBench201(task.input, task.outputs, cells=1, channels=8)
    return Setting(space, task, Device(threads=1), seed=seed)


class Search:
    """One search of a seed; ``times`` is the file of the operations' times."""

    def __init__(self, seed: int, times: Path) -> None:
        self.setting = setting(seed)
        device, task = self.setting.device, self.setting.task
        operators = OperatorTimes(device, Stopwatch(seconds=0.1), times)
        self.latency = Expectation(self.setting.space, operators)
        self.objectives = Objectives([Objective(task.metrics[0]), Objective(LATENCY)])
        self._batches = {
            split: Batches(task, split, device, seed)  # type: ignore[arg-type]
            for split in ("train", "valid", "test")
        }

    def random(self) -> Iterator[Architecture]:
        """Networks, until nobody asks for more."""
        rng = np.random.default_rng(self.setting.seed)
        while True:
            yield sample(self.setting.space, rng)

    def steps(self, way: str) -> int:
        """How many fit into its share of the time, by a short search that is thrown away."""
        strategy, estimator = self._begun(way, TRIAL_STEPS)
        self._step(strategy, estimator)  # the first one is slower
        seconds: dict[bool, list[float]] = {False: [], True: []}  # of steps, and of trials
        while not strategy.done and len(seconds[True]) < TRIALS:
            started = time.perf_counter()
            (outcome,) = self._step(strategy, estimator)
            seconds[outcome.proposal.is_trial].append(time.perf_counter() - started)
        step = sum(seconds[False]) / (strategy.progress[0] - len(seconds[True]) - 1)
        trials = strategy.progress[1] - (strategy.progress[0] - len(seconds[True]))
        left = SHARE * SECONDS - trials * float(np.mean(seconds[True]))
        return max(TRIAL_STEPS, int(left / step))

    def found(self, way: str, steps: int) -> Iterator[Architecture]:
        """Networks in the order in which they are to be trained: front by front."""
        strategy, estimator = self._begun(way, steps)
        scored: dict[Architecture, np.ndarray] = {}
        while not strategy.done:
            for outcome in self._step(strategy, estimator):
                if outcome.proposal.is_trial and outcome.failed is None:
                    values = self.objectives.values(outcome.metrics)
                    scored[outcome.proposal.architecture] = values
        values = np.array(list(scored.values()))
        for front in fronts(values, np.zeros(len(values))):
            yield from [list(scored)[i] for i in front]

    def _begun(self, way: str, steps: int) -> tuple[Any, Any]:
        strategy, estimator = WAYS[way]
        context = Context(
            self.setting.space,
            self.objectives,
            np.random.default_rng(self.setting.seed),
            evaluations=SCORED,
            costs=lambda a: {LATENCY.name: self.latency(a)[0]},  # type: ignore[arg-type]
        )
        config = {**estimator, "horizon": steps}
        return (
            create("strategies", strategy(steps), "search", context),
            create("estimators", config, "search.estimator", self.setting),
        )

    def _step(self, strategy: Any, estimator: Any) -> list[Outcome]:
        outcomes = []
        for outcome in estimator.estimate(strategy.ask(1)):
            point = outcome.proposal.point
            if isinstance(point, Mixture) and (outcome.metrics or outcome.gradients):
                outcome = self.latency.complete(outcome, point, LATENCY.name)  # noqa: PLW2901
            elif isinstance(point, Architecture) and outcome.metrics:
                outcome.metrics[LATENCY.name] = self.latency(point)[0]
            strategy.tell([outcome])
            outcomes.append(outcome)
        return outcomes

    def train(self, network: Architecture) -> dict[str, Any]:
        """From scratch; validation and test error."""
        setting, batches = self.setting, self._batches
        learner = Learner(build(setting.space, network), setting.task, setting.device, setting.seed)
        learner.train(batches["train"], EPOCHS, EPOCHS)
        errors = {s: learner.score(batches[s])["error"] for s in ("valid", "test")}
        return {"network": list(network.values()), **errors}


def search(job: tuple[str, int, str]) -> dict[str, Any]:
    """What is trained within the time."""
    way, seed, times = job
    begun = Search(seed, Path(times))
    steps = 0 if way == "random" else begun.steps(way)
    end = time.perf_counter() + SECONDS
    networks = begun.random() if way == "random" else begun.found(way, steps)
    trained = []
    for network in networks:
        trained.append(begun.train(network))
        if time.perf_counter() > end:
            break
    late = time.perf_counter() - end
    return {"name": way, "seed": seed, "steps": steps, "late": late, "trained": trained}


def measured(searches: list[dict[str, Any]]) -> dict[str, float]:
    """Latency in ms of every network trained, by its operations."""
    profiler = Latency(setting(0), seconds=0.05)
    edges = sample(profiler.setting.space, np.random.default_rng(0))
    found: dict[str, float] = {}
    for each in searches:
        for one in each["trained"]:
            name = " ".join(one["network"])
            if name not in found:
                network = Architecture(dict(zip(edges, one["network"], strict=True)))
                found[name] = profiler.measure(network)["latency_ms"]
    return found


def share(trained: list[Mapping[str, Any]], latency: Mapping[str, float]) -> float:
    """Of the box between nothing and (chance, the slowest network)."""
    slowest = max(latency.values())
    by_valid = np.array([[t["valid"], latency[" ".join(t["network"])]] for t in trained])
    by_test = np.array([[t["test"], latency[" ".join(t["network"])]] for t in trained])
    kept = by_test[fronts(by_valid, np.zeros(len(by_valid)))[0]]
    return float(hypervolume(kept / [CHANCE, slowest], np.ones(2)))


def main() -> None:
    """Search, measure, compare and write."""
    names = sys.argv[1:] or ["random", *WAYS]
    known = measured_before(RESULT).get("searches", [])
    searches = [s for s in known if s["name"] not in names]
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder) / "operator_times.json"
        Search(0, times)  # times the operations, before there is any other work
        jobs = [(name, seed, str(times)) for seed in range(SEEDS) for name in names]
        with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
            for found in pool.map(search, jobs):
                searches.append(found)
                best = min(t["valid"] for t in found["trained"])
                about = f"{found['steps']} steps, {len(found['trained'])} trained, best {best:.4f}"
                sys.stdout.write(f"{found['name']:20} seed {found['seed']}: {about}\n")
                sys.stdout.flush()
    latency = measured(searches)
    shares = {
        name: [share(s["trained"], latency) for s in searches if s["name"] == name]
        for name in dict.fromkeys(s["name"] for s in searches)
    }
    rows = ranking({n: np.array(v)[:, None] for n, v in shares.items()}, "random")
    p = {row["name"]: row["p"] for row in rows}
    table = [
        {"name": n, "mean": float(np.mean(v)), "std": float(np.std(v, ddof=1)), "p": p[n]}
        for n, v in sorted(shares.items(), key=lambda item: -np.mean(item[1]))
    ]
    for row in table:
        sys.stdout.write(f"{row['name']:20} {row['mean']:.4f} +- {row['std']:.4f}  p {row['p']}\n")
    about = {"seconds": SECONDS, "epochs": EPOCHS, "workers": WORKERS, "scored": SCORED}
    result = {**about, "rows": table, "searches": searches, "conditions": conditions()}
    RESULT.write_text(json.dumps(result) + "\n")
    page(result)


def page(result: Mapping[str, Any]) -> None:
    """The table of the documentation."""
    lines = []
    for row in result["rows"]:
        those = [s for s in result["searches"] if s["name"] == row["name"]]
        steps, trained = (
            f"{np.median(values):.0f}"
            for values in ([s["steps"] for s in those], [len(s["trained"]) for s in those])
        )
        p = "" if row["p"] is None else f"{row['p']:.0e}"
        spread = f"{row['mean']:.3f} ± {row['std']:.3f}"
        lines.append([f"`{row['name']}`", spread, p, steps, trained])
    head = ["strategy", "hypervolume", "p over random", "steps", "trained from scratch"]
    fill("docs/weight-sharing.md", "clock", head, lines)


if __name__ == "__main__":
    main()
