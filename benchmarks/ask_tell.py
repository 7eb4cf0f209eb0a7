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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from _files import measured_before
from _nas_bench_201 import EDGES, OPS, POPULATION, SPACE, fitting, integer_nsga2

from hwnas.core import Architecture, Context, Metric, Objective, Objectives, Outcome, Spent
from hwnas.core.registry import create
from hwnas.core.state import dumps
from hwnas.core.strategy import Strategy
from hwnas.profile.conditions import conditions
from hwnas.track.store import Store

ROUNDS = 5000
PEER_ROUNDS = 1000  # of Optuna, whose rounds slow down as its trials grow more
SECONDS = 60.0
NAMES = ("a", "b", "c")
TABLE = np.random.default_rng(0).random((EDGES, len(OPS), len(NAMES))) / EDGES


def metrics(architecture: Architecture) -> Mapping[str, float]:
    """Three sums over the edges of the cell."""
    rows = [TABLE[i, OPS.index(str(op))] for i, op in enumerate(architecture.values())]
    return dict(zip(NAMES, np.sum(rows, axis=0).tolist(), strict=True))


def context() -> Context:
    """A search for three objectives."""
    objectives = Objectives([Objective(Metric(name)) for name in NAMES])
    return Context(SPACE, objectives, np.random.default_rng(0), evaluations=ROUNDS)


def ours(config: Mapping[str, Any], store: Store | None) -> dict[str, float]:
    """Rounds, and rounds a second; with a store, every outcome is committed with its snapshot."""
    searcher: Strategy = create("strategies", config, "search", context())
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
    algorithm = integer_nsga2(len(NAMES), seed=0)
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
        genes = [trial.suggest_categorical(f"edge_{i}", range(len(OPS))) for i in range(EDGES)]
        study.tell(trial, np.sum([TABLE[i, g] for i, g in enumerate(genes)], axis=0).tolist())
    return PEER_ROUNDS / (time.perf_counter() - started)


def main() -> None:
    """Measure those named as arguments, or all, each beside the peers of the same run."""
    path = Path(__file__).parent / "results" / "ask_tell.json"
    names = sys.argv[1:] or list(fitting(context, {}))
    known = measured_before(path).get("strategies", {})
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
