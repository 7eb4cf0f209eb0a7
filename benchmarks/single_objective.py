"""The error alone as objective, on NAS-Bench-201, beside what its authors published.

First the benchmark's own contest (Dong & Yang 2020, Table 5): search by the validation accuracy
after 12 epochs, then the test accuracy of the winner after 200; 100 evaluations stand for their
12,000 seconds. Then how many distinct networks it takes to find the best one by validation
accuracy after 200 epochs. Writes ``benchmarks/results/single_objective.json``.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from _files import measured_before, present
from _nas_bench_201 import ROOT, SPACE, TABLE, pipeline, rows, say

from hwnas.core import Context, Metric, Objective, Objectives, Outcome, Spent
from hwnas.core.registry import create
from hwnas.pipeline.compare import compare, contest
from hwnas.profile.conditions import conditions
from hwnas.track.store import Store

SEEDS, EVALUATIONS = 50, 100
PUBLISHED = {"random": 93.70, "aging": 93.92, "reinforce": 93.85, "bohb": 93.61}
CONTEST: dict[str, dict[str, Any]] = {
    name: {"name": name}
    for name in ("random", "reinforce", "bohb", "pareto_local", "tpe", "wl", "surrogate")
}
# The settings of the benchmark's authors, whose population fits so small a budget.
CONTEST["aging"] = {"name": "aging", "population": 10, "sample": 3}
# Options, and after how many networks the search is given up.
TO_THE_BEST: dict[str, tuple[dict[str, Any], int]] = {
    "aging": ({"name": "aging", "population": 50, "sample": 10}, 1000),
    "pareto_local": ({"name": "pareto_local"}, 1000),
    "random": ({"name": "random"}, 1000),
    "surrogate": ({"name": "surrogate"}, 400),
}


def contested(names: Collection[str]) -> dict[str, dict[str, Any]]:
    """Test accuracy in per cent after the contest: mean, standard error, what was published."""
    taking = {name: search for name, search in CONTEST.items() if name in names}
    entrants = contest(
        {name: pipeline(search, "c10_val_12", EVALUATIONS) for name, search in taking.items()}, None
    )
    # Looked up beside the objective; no strategy looks at metrics that are no objectives.
    test = {"column": "c10_test_200"}
    for entrant in entrants.values():
        entrant.search.estimator.metrics["test_accuracy"] = test  # type: ignore[attr-defined]
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        compare(entrants, Path(folder), SEEDS, None, say)
        for name in entrants:
            scores = [winner(Path(folder) / name / f"seed-{seed}") for seed in range(SEEDS)]
            found[name] = {
                "test_accuracy": float(np.mean(scores)),
                "standard_error": float(np.std(scores, ddof=1) / np.sqrt(SEEDS)),
                "published": PUBLISHED.get(name),
            }
    return found


def winner(folder: Path) -> float:
    """The test accuracy of the network with the least error."""
    with Store(folder / "trials.db") as store:
        trials = [t for t in store.trials() if t.failed is None]
    return min(trials, key=lambda t: t.metrics["error"]).metrics["test_accuracy"]


def to_the_best(names: Collection[str]) -> dict[str, dict[str, Any]]:
    """Distinct evaluations until the best network is found: median, and how often it was."""
    limits = {name: limit for name, (_, limit) in TO_THE_BEST.items() if name in names}
    jobs = [(name, seed) for name in limits for seed in range(SEEDS)]
    with ProcessPoolExecutor() as pool:
        at = dict(zip(jobs, pool.map(until_the_best, *zip(*jobs, strict=True)), strict=True))
    found: dict[str, dict[str, Any]] = {}
    for name, limit in limits.items():
        counts = np.array([at[name, seed] for seed in range(SEEDS)])
        median = float(np.median(counts))
        found[name] = {
            "limit": limit,
            "median": median if np.isfinite(median) else None,
            "found": float(np.isfinite(counts).mean()),
            "all": sorted(int(c) for c in counts if np.isfinite(c)),
        }
    return found


def until_the_best(name: str, seed: int) -> float:
    """Distinct networks asked for until the best one, infinite if it is not among the first."""
    config, limit = TO_THE_BEST[name]
    error = dict(zip(rows(), -np.load(TABLE, allow_pickle=False)["c10_val_200"], strict=True))
    best = min(error, key=lambda ops: error[ops])
    context = Context(
        SPACE,
        Objectives([Objective(Metric("error"))]),
        np.random.default_rng(seed),
        evaluations=100 * limit,  # some strategies ask for a network again
    )
    strategy = create("strategies", config, "search", context)
    known: set[tuple[str, ...]] = set()
    while not strategy.done and len(known) < limit:
        for proposal in strategy.ask(1):
            ops = tuple(str(op) for op in proposal.architecture.values())
            known.add(ops)
            if ops == best:
                return len(known)
            metrics = {"error": 1 + float(error[ops]) / 100}
            strategy.tell([Outcome(proposal, metrics, spent=Spent(1))])
    return np.inf


def main() -> None:
    """Measure and write."""
    if not present(TABLE):
        return
    path = ROOT / "benchmarks" / "results" / "single_objective.json"
    names = sys.argv[1:] or [*CONTEST, *TO_THE_BEST]
    known = measured_before(path)
    result: dict[str, Any] = {
        "seeds": SEEDS,
        "contest": known.get("contest", {}) | contested(names),
        "to_the_best": known.get("to_the_best", {}) | to_the_best(names),
        "conditions": conditions(),
    }
    path.write_text(json.dumps(result, indent=2) + "\n")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
