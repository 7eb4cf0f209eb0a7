"""Every strategy of hwnas beside Optuna and pymoo, on NAS-Bench-201 with measured latencies.

The same table, seeds and count of distinct networks for all; the share of the best possible
hypervolume of error and latency (reference 1.1 ranges from the best). Reads the tables in
``HWNAS_DATA``; writes ``benchmarks/results/peers.json`` and the table of the README.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from _files import measured_before, present
from _nas_bench_201 import ROOT, SPACE, TABLE, fitting, pipeline, say
from _pages import fill
from _peers import PEERS

from hwnas.core import Context, Metric, Objective, Objectives
from hwnas.core.pareto import front, hypervolume
from hwnas.pipeline.compare import compare, contest, curves
from hwnas.pipeline.ranking import ranking
from hwnas.profile.conditions import conditions

PAIRS = {
    "edgegpu": "hw_c10_edgegpu_latency_ms",
    "raspi4": "hw_c10_raspi4_latency_ms",
    "1080ti": "help_1080ti_256_lat_ms",  # a batch of 256
}
LAST = "1080ti"
ON_LAST = {"random", "nsga2", "pareto_local", "surrogate", "Optuna NSGA-II", "Optuna TPE"}
SEEDS, BUDGET = 20, 200
AT = (50, 100, 200, 500)
# Models that are slow are measured up to fewer evaluations, methods that learn slowly up to more.
BUDGETS = {
    **dict.fromkeys(("gp", "wl", "nasbot", "auto_keras", "forest", "pnas"), 100),
    "Optuna TPE": 200,
    **dict.fromkeys(("reinforce", "ppo", "q_learning", "nsga2", "pareto_local"), 500),
}
# What a strategy needs to be told beside its defaults, and why.
OPTIONS: dict[str, dict[str, Any]] = {
    # The table has scores after 12 of 200 epochs, and none between.
    "successive_halving": {"eta": 16, "least": 12},
    "hyperband": {"eta": 16, "least": 12},
    "asha": {"eta": 16, "least": 12},
    "bohb": {"eta": 16, "least": 12},
    # The fastest networks, which learn nothing, stretch the scale: of the Tchebycheff weights few
    # fall on the rest of the front, which is convex.
    "moead": {"decomposition": "weighted_sum"},
}


@cache
def strategies() -> dict[str, dict[str, Any]]:
    """All that can search this space on a table, with their options."""

    def context() -> Context:
        objectives = Objectives([Objective(Metric("error"))])
        return Context(SPACE, objectives, np.random.default_rng(0), units=200)

    return fitting(context, OPTIONS)


@cache
def values(pair: str) -> np.ndarray:
    """Error and latency, each scaled by its range, ``[n, 2]``."""
    table = np.load(TABLE, allow_pickle=False)
    both = np.stack([-table["c10_val_200"], table[PAIRS[pair]]], axis=1).astype(float)
    low, high = both.min(axis=0), both.max(axis=0)
    return np.asarray((both - low) / (high - low))


def peer(job: tuple[str, str, int, int]) -> np.ndarray:
    """Shares of the best hypervolume after each distinct network, ``[budget]``."""
    name, pair, seed, budget = job
    distinct: dict[int, None] = {}
    for row in islice(PEERS[name](values(pair), seed), 100 * budget):
        distinct[row] = None
        if len(distinct) == budget:
            break
    v, reference = values(pair), np.full(2, 1.1)
    best = hypervolume(v[front(v, np.zeros(len(v)))], reference)
    curve: list[float] = []
    kept = np.empty((0, 2))
    for row in distinct:
        candidates = np.vstack([kept, v[row]])
        kept = candidates[front(candidates, np.zeros(len(candidates)))]
        curve.append(hypervolume(kept, reference) / best)
    return np.array(curve + curve[-1:] * (budget - len(curve)))


def measure(pair: str, names: list[str]) -> dict[str, dict[str, Any]]:
    """Shares of the best hypervolume at each of ``AT`` and seed, of ours and of peers."""
    found: dict[str, dict[str, Any]] = {}
    error = {12: "c10_val_12", 200: "c10_val_200"}
    for budget in sorted({budget_of(name) for name in names}):
        mine = [n for n in names if n not in PEERS and budget_of(n) == budget]
        sys.stderr.write(f"{pair}, {budget} evaluations: {', '.join(mine)}\n")
        shares: dict[str, np.ndarray] = {}
        if mine:
            configs = {
                n: pipeline(strategies()[n], error, budget, latency_ms=PAIRS[pair]) for n in mine
            }
            with tempfile.TemporaryDirectory() as folder:
                result = compare(contest(configs, None), Path(folder), SEEDS, None, say)
                shares = {n: curves(Path(folder) / n, SEEDS, budget) / result["best"] for n in mine}
        jobs = [
            (name, pair, seed, budget)
            for name in names
            if name in PEERS and budget_of(name) == budget
            for seed in range(SEEDS)
        ]
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            curve = dict(zip(jobs, pool.map(peer, jobs), strict=True))
        for name in dict.fromkeys(job[0] for job in jobs):
            shares[name] = np.stack([curve[job] for job in jobs if job[0] == name])
        for name, values in shares.items():
            at = [n for n in AT if n <= budget]
            found[name] = {str(n): values[:, n - 1].round(6).tolist() for n in at}
    return found


def budget_of(name: str) -> int:
    """Up to how many evaluations a strategy or a peer is measured."""
    return BUDGETS.get(name, AT[-1] if name in PEERS or name == "random" else BUDGET)


def table(pairs: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """A row a strategy and pair: means, deviations, and p over random, corrected by Holm.

    The correction is for all that were measured up to the same number of evaluations.
    """
    for pair, found in pairs.items():
        p: dict[str, dict[int, float | None]] = {name: {} for name in found}
        for at in AT:
            there = {n: np.array(v[str(at)])[:, None] for n, v in found.items() if str(at) in v}
            if "random" in there:
                for row in ranking(there, "random"):
                    p[row["name"]][at] = row["p"]
        for name, shares in found.items():
            yield {
                "pair": pair,
                "name": name,
                "peer": name in PEERS,
                "mean": {int(n): float(np.mean(v)) for n, v in shares.items()},
                "std": {int(n): float(np.std(v, ddof=1)) for n, v in shares.items()},
                "p_over_random": p[name],
            }


def readme(rows: list[dict[str, Any]]) -> None:
    """Write the table between its marks in the README: the best of the first pair first."""
    first = [row for row in rows if row["pair"] == next(iter(PAIRS))]
    other = {row["name"]: row for row in rows if row["pair"] == list(PAIRS)[1]}
    head = ["strategy", "at 50", "at 100", "at 200", "at 500", "p over random", "second pair", "p"]
    lines = []
    for row in sorted(first, key=lambda row: -row["mean"][100]):
        name = f"*{row['name']}*" if row["peer"] else f"`{row['name']}`"
        cells = [name, *(f"{row['mean'][n]:.4f}" if n in row["mean"] else "" for n in AT)]
        twin = other.get(row["name"])
        last = str(max(row["mean"]))
        cells.append(_p(row, int(last)))
        cells += (
            ["", ""] if twin is None else [f"{twin['mean'][int(last)]:.4f}", _p(twin, int(last))]
        )
        lines.append(cells)
    fill("README.md", "peers", head, lines)


def _p(row: Mapping[str, Any], at: int) -> str:
    p = row["p_over_random"].get(at)
    return "" if p is None else f"{p:.0e}"


def main() -> None:
    """Measure those named as arguments, or all, and put the table into the README."""
    if not present(TABLE):
        return
    everyone = [*strategies(), *PEERS]
    names = sys.argv[1:] or everyone
    if unknown := set(names) - set(everyone):
        sys.stderr.write(f"unknown: {', '.join(unknown)}. There are {', '.join(everyone)}.\n")
        sys.exit(2)
    path = ROOT / "benchmarks" / "results" / "peers.json"
    known = measured_before(path).get("shares", {})
    shares = {pair: known.get(pair, {}) for pair in PAIRS}
    for pair in PAIRS:
        for name in (n for n in names if pair != LAST or n in ON_LAST):
            shares[pair] |= measure(pair, [name])
            rows = list(table(shares))
            result = {"seeds": SEEDS, "options": OPTIONS, "rows": rows, "shares": shares}
            path.write_text(json.dumps(result | {"conditions": conditions()}) + "\n")
    readme(rows)
    for row in rows:
        means = "  ".join(f"{n}: {m:.4f}" for n, m in row["mean"].items())
        sys.stdout.write(f"{row['pair']:8} {row['name']:20} {means}  p {row['p_over_random']}\n")


if __name__ == "__main__":
    main()
