"""Ask-tell rounds a second, with and without a store, beside bare pymoo and Optuna in the same run.

Three objectives computed from the architecture in no time, NAS-Bench-201, one thread, every
strategy whose candidates are architectures, with its defaults. A strategy is stopped after
``SECONDS``, because a model that is fitted again and again grows slower and slower; its rounds are
written beside its rate. Writes ``benchmarks/results/ask_tell.json``.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.core import (
    Architecture,
    Context,
    HwnasError,
    Metric,
    Objective,
    Objectives,
    Outcome,
    Spent,
)
from hwnas.core.registry import create, discover
from hwnas.core.state import dumps
from hwnas.core.strategy import Strategy
from hwnas.core.tensor_type import TensorType
from hwnas.profile.conditions import conditions
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.track.store import Store

ROUNDS = 5000
PEER_ROUNDS = 1000  # of Optuna, whose rounds slow down as its trials grow more
SECONDS = 60.0
POPULATION = 20
NAMES = ("a", "b", "c")
SPACE = NasBench201(TensorType((3, 32, 32)), 10)
OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
TABLE = np.random.default_rng(0).random((6, 5, 3)) / 6


def metrics(architecture: Architecture) -> Mapping[str, float]:
    """Three sums over the edges of the cell."""
    rows = [TABLE[i, OPS.index(str(op))] for i, op in enumerate(architecture.values())]
    return dict(zip(NAMES, np.sum(rows, axis=0).tolist(), strict=True))


def strategy(config: Mapping[str, Any]) -> Strategy:
    """A strategy with three objectives."""
    objectives = Objectives([Objective(Metric(name)) for name in NAMES])
    context = Context(SPACE, objectives, np.random.default_rng(0), evaluations=ROUNDS)
    made: Strategy = create("strategies", config, "search", context)
    return made


def ours(config: Mapping[str, Any], store: Store | None) -> dict[str, float]:
    """Rounds, and rounds a second; with a store, every outcome is committed with its snapshot."""
    searcher = strategy(config)
    started = time.perf_counter()
    done = 0
    while not searcher.done and done < ROUNDS and time.perf_counter() - started < SECONDS:
        for proposal in searcher.ask(1):
            outcome = Outcome(proposal, metrics(proposal.point), spent=Spent(1))  # type: ignore[arg-type]
            searcher.tell([outcome])
            done += 1
            if store is not None:
                snapshot = (proposal.id, dumps(searcher.state_dict()))
                store.commit([outcome], curve=[(proposal.id, 0.0)], snapshot=snapshot)
    return {"rounds": done, "per_second": done / (time.perf_counter() - started)}


def pymoo() -> float:
    """Rounds a second of pymoo's NSGA-II on integers, the same population."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.core.termination import NoTermination
    from pymoo.operators.crossover.ux import UX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    problem = Problem(n_var=6, n_obj=3, xl=0, xu=4, vtype=int)
    algorithm = NSGA2(
        pop_size=POPULATION,
        sampling=IntegerRandomSampling(),
        crossover=UX(),
        mutation=PM(vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    algorithm.setup(problem, termination=NoTermination(), seed=0)
    started = time.perf_counter()
    done = 0
    while done < ROUNDS:
        infills = algorithm.ask()
        for individual in infills:
            genes = enumerate(individual.X.astype(int))
            individual.F = np.sum([TABLE[i, g] for i, g in genes], axis=0)
        algorithm.tell(infills=infills)
        done += len(infills)
    return done / (time.perf_counter() - started)


def optuna() -> float:
    """Rounds a second of Optuna's NSGA-II in memory, the same population."""
    import optuna as peer

    peer.logging.set_verbosity(peer.logging.WARNING)
    study = peer.create_study(
        directions=["minimize"] * len(NAMES),
        sampler=peer.samplers.NSGAIISampler(population_size=POPULATION, seed=0),
    )
    started = time.perf_counter()
    for _ in range(PEER_ROUNDS):
        trial = study.ask()
        genes = [trial.suggest_categorical(f"edge_{i}", range(len(OPS))) for i in range(6)]
        study.tell(trial, np.sum([TABLE[i, g] for i, g in enumerate(genes)], axis=0).tolist())
    return PEER_ROUNDS / (time.perf_counter() - started)


def eligible() -> Iterator[str]:
    """The strategies that ask an estimator for architectures only, and fit the space."""
    for name, component in discover("strategies").items():
        if component.cls.needs <= {"parent", "inherit"}:
            try:
                strategy({"name": name})
            except HwnasError as error:
                sys.stderr.write(f"{name} is left out: {error}\n")
            else:
                yield name


def main() -> None:
    """Measure those named as arguments, or all, each beside the peers of the same run."""
    path = Path(__file__).parent / "results" / "ask_tell.json"
    names = sys.argv[1:] or list(eligible())
    known = json.loads(path.read_text())["strategies"] if sys.argv[1:] and path.exists() else {}
    peers = {
        "pymoo_nsga2": {"rounds": ROUNDS, "per_second": pymoo()},
        "optuna_nsga2": {"rounds": PEER_ROUNDS, "per_second": optuna()},
    }
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            with Store(Path(folder) / f"{name}.db") as store:
                known[name] = {
                    "alone": ours({"name": name}, None),
                    "committed": ours({"name": name}, store),
                    "peers": {peer: row["per_second"] for peer, row in peers.items()},
                }
    result: dict[str, Any] = {"seconds": SECONDS, "peers": peers, "strategies": known}
    result["conditions"] = conditions()
    path.write_text(json.dumps(result, indent=2) + "\n")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
