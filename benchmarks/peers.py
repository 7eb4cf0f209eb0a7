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
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.core import Event
from hwnas.core.pareto import front, hypervolume
from hwnas.core.registry import discover
from hwnas.estimate.table import Table
from hwnas.pipeline.compare import compare, contest, curves
from hwnas.pipeline.config import Pipeline
from hwnas.pipeline.ranking import ranking
from hwnas.profile.conditions import conditions

ROOT = Path(__file__).parents[1]
TABLE = ROOT / os.environ.get("HWNAS_DATA", "../shared/data") / "nas_bench_201.npz"
PAIRS = {"edgegpu": "hw_c10_edgegpu_latency_ms", "raspi4": "hw_c10_raspi4_latency_ms"}
SEEDS, BUDGET, LONG = 20, 200, 500
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
OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def pipeline(search: Mapping[str, Any], error: Any, budget: int, **costs: str) -> Pipeline:
    """A search on the table; ``error`` is a column of accuracies or several by epochs."""
    metrics = {"error": {"column": error, "scale": -0.01, "offset": 1.0}, **costs}
    return Pipeline.model_validate(
        {
            "task": {"name": "cifar10"},
            "space": {"name": "nas_bench_201"},
            "objectives": [{"metric": name} for name in metrics],
            "search": {
                **search,
                "evaluations": budget,
                "estimator": {
                    "name": "table", "file": str(TABLE), "rows": "arch_str", "metrics": metrics
                },
            },
            "tracking": {"uri": None},
        }
    )  # fmt: skip


def strategies() -> dict[str, dict[str, Any]]:
    """All that can search on a table, with their options."""
    found = discover("strategies").items()
    return {
        name: {"name": name, **OPTIONS.get(name, {})}
        for name, component in found
        if component.cls.needs <= Table.provides
    }


def say(event: Event) -> None:
    """Progress, in lines."""
    if event.kind == "progress" and (event.done % 20 == 0 or event.done == event.total):
        sys.stderr.write(f"  {event.done}/{event.total} searches\n")


@cache
def rows() -> dict[tuple[str, ...], int]:
    """The row of each network, by the operations of its six edges."""
    names = np.load(TABLE, allow_pickle=False)["arch_str"]
    edges = (s.decode().replace("+", "").strip("|").split("|") for s in names)
    return {tuple(e.partition("~")[0] for e in parts if e): i for i, parts in enumerate(edges)}


@cache
def values(pair: str) -> np.ndarray:
    """Error and latency, each scaled by its range, ``[n, 2]``."""
    table = np.load(TABLE, allow_pickle=False)
    both = np.stack([-table["c10_val_200"], table[PAIRS[pair]]], axis=1).astype(float)
    low, high = both.min(axis=0), both.max(axis=0)
    return np.asarray((both - low) / (high - low))


def optuna_search(pair: str, sampler: Callable[[], Any]) -> Iterator[int]:
    """Rows in the order that an Optuna sampler asks for them."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler())
    while True:
        trial = study.ask()
        row = rows()[tuple(trial.suggest_categorical(str(edge), OPS) for edge in range(6))]
        study.tell(trial, values(pair)[row].tolist())
        yield row


def optuna_nsga2(pair: str, seed: int) -> Iterator[int]:
    """Optuna's NSGA-II with its defaults (population 50)."""
    import optuna

    return optuna_search(pair, lambda: optuna.samplers.NSGAIISampler(seed=seed))


def optuna_tpe(pair: str, seed: int) -> Iterator[int]:
    """Optuna's multivariate, multi-objective TPE."""
    import optuna

    return optuna_search(pair, lambda: optuna.samplers.TPESampler(seed=seed, multivariate=True))


def pymoo_nsga2(pair: str, seed: int) -> Iterator[int]:
    """pymoo's NSGA-II on integers (population 20, as our default)."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.core.termination import NoTermination
    from pymoo.operators.crossover.ux import UX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    algorithm = NSGA2(
        pop_size=20,
        sampling=IntegerRandomSampling(),
        crossover=UX(),
        mutation=PM(vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    ).setup(
        Problem(n_var=6, n_obj=2, xl=0, xu=4, vtype=int), termination=NoTermination(), seed=seed
    )
    while True:
        infills = algorithm.ask()
        for individual in infills:
            row = rows()[tuple(OPS[i] for i in individual.X.astype(int))]
            individual.F = values(pair)[row]
            yield row
        algorithm.tell(infills=infills)


PEERS: dict[str, Callable[[str, int], Iterator[int]]] = {
    "Optuna NSGA-II": optuna_nsga2,
    "Optuna TPE": optuna_tpe,
    "pymoo NSGA-II": pymoo_nsga2,
}


def peer(job: tuple[str, str, int, int]) -> np.ndarray:
    """Shares of the best hypervolume after each distinct network, ``[budget]``."""
    name, pair, seed, budget = job
    distinct: dict[int, None] = {}
    for row in islice(PEERS[name](pair, seed), 100 * budget):
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


def measure(pair: str, budget: int, names: list[str]) -> list[dict[str, Any]]:
    """Ours by those ``names`` and the peers, ranked together."""
    sys.stderr.write(f"{pair}, {budget} evaluations\n")
    error = {12: "c10_val_12", 200: "c10_val_200"}
    entrants = contest(
        {n: pipeline(strategies()[n], error, budget, latency_ms=PAIRS[pair]) for n in names}, None
    )
    with tempfile.TemporaryDirectory() as folder:
        result = compare(entrants, Path(folder), SEEDS, None, say)
        shares = {n: curves(Path(folder) / n, SEEDS, budget) / result["best"] for n in entrants}
    jobs = [(name, pair, seed, budget) for name in PEERS for seed in range(SEEDS)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(jobs, pool.map(peer, jobs), strict=True))
    for name in PEERS:
        shares[name] = np.stack([found[job] for job in jobs if job[0] == name])
    at = [n for n in (50, 100, 200, 500) if n <= budget]
    return [
        {
            "name": row["name"],
            "peer": row["name"] in PEERS,
            "shares": {n: row["mean"][n - 1] for n in at},
            "std": {n: row["std"][n - 1] for n in at},
            "rank": row["rank"],
            "p_over_random": row["p"],
        }
        for row in ranking(shares, "random")
    ]


def readme(result: Mapping[str, Any]) -> None:
    """Write the table between its marks in the README."""
    first, second = (result[pair] for pair in PAIRS)
    other = {row["name"]: row for row in second}
    lines = [
        "| strategy | at 50 | at 100 | at 200 | p over random | second pair, at 200 | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in first:
        name = f"*{row['name']}*" if row["peer"] else f"`{row['name']}`"
        shares = [f"{row['shares'][n]:.4f}" for n in (50, 100, 200)]
        twin = other[row["name"]]
        p = ["" if r["p_over_random"] is None else f"{r['p_over_random']:.0e}" for r in (row, twin)]
        cells = [name, *shares, p[0], f"{twin['shares'][200]:.4f}", p[1]]
        lines.append(f"| {' | '.join(cells)} |")
    path = ROOT / "README.md"
    begin, end = "<!-- peers -->\n", "<!-- end of peers -->"
    before, rest = path.read_text().split(begin)
    path.write_text(before + begin + "\n".join(lines) + "\n" + end + rest.split(end)[1])


def main() -> None:
    """Measure, write, and put the table into the README."""
    if not TABLE.exists():
        sys.stderr.write(f"{TABLE} is absent: set HWNAS_DATA to the folder that holds it.\n")
        return
    names = list(strategies())
    result: dict[str, Any] = {"seeds": SEEDS, "budget": BUDGET, "options": OPTIONS}
    result |= {pair: measure(pair, BUDGET, names) for pair in PAIRS}
    result["edgegpu_long"] = measure("edgegpu", LONG, ["nsga2", "pareto_local"])
    result["conditions"] = conditions()
    path = ROOT / "benchmarks" / "results" / "peers.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    readme(result)
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
