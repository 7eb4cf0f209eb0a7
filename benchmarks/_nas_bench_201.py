"""NAS-Bench-201 as the benchmarks use it: the space, its table, and who can search them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.core import Context, Event, HwnasError
from hwnas.core.registry import create, discover
from hwnas.core.tensor_type import TensorType
from hwnas.estimate.table import Table
from hwnas.pipeline.config import Pipeline
from hwnas.space.nas_bench_201 import NasBench201

ROOT = Path(__file__).parents[1]
TABLE = ROOT / os.environ.get("HWNAS_DATA", "../shared/data") / "nas_bench_201.npz"
SPACE = NasBench201(TensorType((3, 32, 32)), 10)
OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = 6
POPULATION = 20  # our default


def fitting(
    context: Callable[[], Context], options: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Strategies that a table is enough for, and that do not refuse the context, as configs."""
    found: dict[str, dict[str, Any]] = {}
    for name, component in discover("strategies").items():
        if component.cls.needs <= Table.provides:
            config = {"name": name, **options.get(name, {})}
            try:
                create("strategies", config, "search", context())
            except HwnasError as error:  # the space, or the training units
                sys.stderr.write(f"{name} is left out: {error}\n")
            else:
                found[name] = config
    return found


def integer_nsga2(objectives: int, seed: int) -> Any:
    """pymoo's NSGA-II on integers, one an edge."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.core.termination import NoTermination
    from pymoo.operators.crossover.ux import UX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    problem = Problem(n_var=EDGES, n_obj=objectives, xl=0, xu=len(OPS) - 1, vtype=int)
    return NSGA2(
        pop_size=POPULATION,
        sampling=IntegerRandomSampling(),
        crossover=UX(),
        mutation=PM(vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    ).setup(problem, termination=NoTermination(), seed=seed)


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


@cache
def rows() -> dict[tuple[str, ...], int]:
    """The row of each network, by the operations of its six edges."""
    names = np.load(TABLE, allow_pickle=False)["arch_str"]
    edges = (s.decode().replace("+", "").strip("|").split("|") for s in names)
    return {tuple(e.partition("~")[0] for e in parts if e): i for i, parts in enumerate(edges)}


def say(event: Event) -> None:
    """Progress, in lines."""
    if event.kind == "progress" and (event.done % 20 == 0 or event.done == event.total):
        sys.stderr.write(f"  {event.done}/{event.total} searches\n")
