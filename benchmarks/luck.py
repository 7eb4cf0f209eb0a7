"""How much of the best hypervolume is luck on NAS-Bench-201: what searches with foreknowledge find.

Isomorphic networks compute the same and differ by the luck of their trainings alone, and the best
front is that of the luckiest. A Gaussian process of the logarithm of the error, fitted to all of
the table, splits the error of a class of isomorphic networks into what its layers and its own
structure expect, and luck. Two searches use it; both know the latency of all 15,625 networks, and
the error of every one whose class errs by more than ``LEARNS``, and ask for the largest expected
improvement of the hypervolume:

- ``foretold`` knows what the process foretells of each network from all the others, and how surely;
- ``expected`` searches tables in which expectations and luck are drawn from the process, and knows
  the expectation of each network: all but luck. No model of networks can know more.

Writes ``benchmarks/results/luck.json``.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _files import present
from _nas_bench_201 import SPACE, TABLE, rows
from peers import AT, BUDGET, PAIRS

from hwnas.core import Architecture
from hwnas.core.pareto import front, hypervolume
from hwnas.graph.fingerprint import fingerprint
from hwnas.profile.conditions import conditions
from hwnas.search._graphs import network
from hwnas.search._improvement import Improvement
from hwnas.search._similarity import Counts, chains
from hwnas.space.moves import every
from hwnas.space.replay import build

RESULT = Path(__file__).parent / "results" / "luck.json"
WORLDS, LEARNS = 20, 0.2
SOME = 1500  # classes by which the process is fitted
FAR = 5.0  # standard deviations, which no luck gets beyond


class Beliefs(NamedTuple):
    """The process: its networks ``[n]``, their classes, what is expected of classes, and luck."""

    networks: np.ndarray
    classes: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    luck: float  # standard deviation of the logarithm of the error


def classes() -> tuple[np.ndarray, list[Architecture]]:
    """The class of each network, and a network of each class."""
    sketch = SPACE.sketch()
    known: dict[str, int] = {}
    members: list[Architecture] = []
    found = np.empty(len(rows()), int)
    for architecture in every(SPACE):
        form = fingerprint(build(sketch, architecture))
        if form not in known:
            known[form] = len(known)
            members.append(architecture)
        found[rows()[tuple(str(op) for op in architecture.values())]] = known[form]
    return found, members


def believed(error: np.ndarray, of: np.ndarray, members: list[Architecture]) -> Beliefs:
    """A process that is fitted to all that learns; ``of [n]`` is each network's class."""
    from scipy.linalg import cho_factor, cho_solve
    from scipy.optimize import minimize

    size = np.bincount(of)
    mean = np.bincount(of, np.log(error)) / size
    kept = np.flatnonzero(mean < np.log(LEARNS))
    size, y = size[kept], mean[kept]
    networks = np.flatnonzero(np.isin(of, kept))
    place = np.searchsorted(kept, of[networks])
    luck = np.sum((np.log(error[networks]) - y[place]) ** 2) / (len(networks) - len(kept))
    some = [members[k] for k in kept]
    sketch = SPACE.sketch()
    distance = Counts(lambda a: chains(network(sketch, a), 3))(some)(some)
    center = y.mean()

    def covariances(logs: np.ndarray, which: np.ndarray) -> np.ndarray:
        length, variance, own = np.exp(logs)
        kernel = variance * np.exp(-distance[np.ix_(which, which)] / length)
        return np.asarray(kernel + own * np.eye(len(which)))

    def surprise(logs: np.ndarray, which: np.ndarray) -> float:
        root = np.linalg.cholesky(covariances(logs, which) + np.diag(luck / size[which]))
        rest = np.linalg.solve(root, y[which] - center)
        return float(rest @ rest / 2 + np.log(np.diag(root)).sum())

    which = np.random.default_rng(0).permutation(len(kept))[:SOME]
    first = np.log([1.0, 0.02, 1e-4])
    logs = minimize(surprise, first, (which,), "Nelder-Mead", options={"xatol": 0.1}).x
    sys.stdout.write(f"length, variance and variance of a class: {np.exp(logs)}\n")
    prior = covariances(logs, np.arange(len(kept)))
    solved = cho_factor(prior + np.diag(luck / size), lower=True)
    expected = center + prior @ cho_solve(solved, y - center)
    left = prior - prior @ cho_solve(solved, prior)
    return Beliefs(networks, place, expected, left, float(np.sqrt(luck)))


def search(
    mean: np.ndarray, deviation: np.ndarray, error: np.ndarray, latency: np.ndarray
) -> list[float]:
    """Shares of the best hypervolume at each of ``AT`` up to the budget, by knowing ``mean [n]``.

    That and its deviation are of the logarithm of the error.
    """
    values = np.stack([error, latency], axis=1)
    low, high = values.min(axis=0), values.max(axis=0)
    reference = low + 1.1 * (high - low)
    expected = np.stack([mean, latency], axis=1)
    deviations = np.stack([deviation, np.zeros_like(latency)], axis=1)
    asked = np.zeros(len(error), bool)
    order: list[int] = []
    while len(order) < BUDGET:
        told = values[order]
        best = told[front(told, np.zeros(len(told)))]
        best = best[np.argsort(best[:, 1])]
        # What is worse than a faster network even with all luck is worth nothing.
        at = np.searchsorted(best[:, 1], latency, side="right")
        beaten = np.append(np.inf, best[:, 0])[at] <= np.exp(mean - FAR * deviation)
        worth = np.flatnonzero(~asked & ~beaten)
        if not len(worth):
            break
        improvement = Improvement(best, reference)
        gains = improvement(expected[worth], deviations[worth], np.array([True, False]))
        order.append(int(worth[gains.argmax()]))
        asked[order[-1]] = True

    def volume(some: np.ndarray) -> float:
        return hypervolume(some[front(some, np.zeros(len(some)))], reference)

    whole = volume(values)
    return [volume(values[order[:n]]) / whole for n in AT if n <= BUDGET]


def foretold(error: np.ndarray, latency: np.ndarray, beliefs: Beliefs) -> list[float]:
    """A search of the table itself, by what the others foretell of each network."""
    # A class without one of its networks: a normal observation is divided out.
    spread = np.diag(beliefs.covariance)[beliefs.classes]
    own = np.log(error[beliefs.networks])
    precision = 1 / spread - 1 / beliefs.luck**2
    without = beliefs.mean[beliefs.classes] / spread - own / beliefs.luck**2
    mean, deviation = np.log(error), np.zeros(len(error))
    mean[beliefs.networks] = without / precision
    deviation[beliefs.networks] = np.sqrt(1 / precision + beliefs.luck**2)
    return search(mean, deviation, error, latency)


def worlds(error: np.ndarray, beliefs: Beliefs) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Expected logarithms of errors, and errors, ``[n]`` each, drawn from the process."""
    rng = np.random.default_rng(0)
    root = np.linalg.cholesky(beliefs.covariance + 1e-9 * np.eye(len(beliefs.mean)))
    for _ in range(WORLDS):
        mean, drawn = np.log(error), error.copy()
        of_classes = beliefs.mean + root @ rng.standard_normal(len(root))
        mean[beliefs.networks] = of_classes[beliefs.classes]
        luck = beliefs.luck * rng.standard_normal(len(beliefs.networks))
        drawn[beliefs.networks] = np.exp(mean[beliefs.networks] + luck)
        yield mean, drawn


def main() -> None:
    """Search and write."""
    if not present(TABLE):
        return
    table = np.load(TABLE, allow_pickle=False)
    error = 1 - table["c10_val_200"].astype(float) / 100
    latency = {pair: table[column].astype(float) for pair, column in PAIRS.items()}
    of, members = classes()
    beliefs = believed(error, of, members)
    deviation = np.zeros(len(error))
    deviation[beliefs.networks] = beliefs.luck
    drawn = list(worlds(error, beliefs))
    at = [n for n in AT if n <= BUDGET]
    result: dict[str, Mapping[str, Any]] = {}
    for pair, times in latency.items():
        shares = np.array([search(mean, deviation, e, times) for mean, e in drawn])
        result[pair] = {
            "at": at,
            "foretold": foretold(error, times, beliefs),
            "expected": shares.mean(axis=0).tolist(),
            "spread": shares.std(axis=0, ddof=1).tolist(),
        }
        sys.stdout.write(f"{pair}: {json.dumps(result[pair])}\n")
    about = {"worlds": WORLDS, "learns": LEARNS, "luck": beliefs.luck, "classes": len(members)}
    RESULT.write_text(json.dumps({**about, "pairs": result, "conditions": conditions()}) + "\n")


if __name__ == "__main__":
    main()
