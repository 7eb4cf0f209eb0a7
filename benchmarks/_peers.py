"""Other optimisers, as they would search NAS-Bench-201 without hwnas."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from _nas_bench_201 import OPS, integer_nsga2, rows


def optuna_search(values: np.ndarray, sampler: Callable[[], Any]) -> Iterator[int]:
    """Rows in the order that an Optuna sampler asks for them, given ``values`` ``[n, 2]``."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler())
    while True:
        trial = study.ask()
        row = rows()[tuple(trial.suggest_categorical(str(edge), OPS) for edge in range(6))]
        study.tell(trial, values[row].tolist())
        yield row


def optuna_nsga2(values: np.ndarray, seed: int) -> Iterator[int]:
    """Optuna's NSGA-II with its defaults (population 50)."""
    import optuna

    return optuna_search(values, lambda: optuna.samplers.NSGAIISampler(seed=seed))


def optuna_tpe(values: np.ndarray, seed: int) -> Iterator[int]:
    """Optuna's multivariate, multi-objective TPE."""
    import optuna

    return optuna_search(values, lambda: optuna.samplers.TPESampler(seed=seed, multivariate=True))


def pymoo_nsga2(values: np.ndarray, seed: int) -> Iterator[int]:
    """pymoo's NSGA-II on integers (population 20, as our default)."""
    algorithm = integer_nsga2(2, seed)
    while True:
        infills = algorithm.ask()
        for individual in infills:
            row = rows()[tuple(OPS[i] for i in individual.X.astype(int))]
            individual.F = values[row]
            yield row
        algorithm.tell(infills=infills)


PEERS: dict[str, Callable[[np.ndarray, int], Iterator[int]]] = {
    "Optuna NSGA-II": optuna_nsga2,
    "Optuna TPE": optuna_tpe,
    "pymoo NSGA-II": pymoo_nsga2,
}
