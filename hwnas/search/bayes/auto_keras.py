"""Bayesian optimisation that grows networks by morphisms along a tree."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.preference import Preference
from hwnas.core.proposal import Proposal
from hwnas.search._edit_distance import Embedding, Layers, distances
from hwnas.search._gaussian import fit
from hwnas.search._graphs import network
from hwnas.search._guess import Predict, stacked
from hwnas.search._modelled import Modelled
from hwnas.search._options import above, at_least
from hwnas.space.moves import morph

Bound = Callable[[Sequence[Architecture]], np.ndarray]
"""The least that networks may be worth, smaller is better, shape ``[n]``."""

_COLDEST = 1e-2
_BALANCE = 0.1  # of skip-connections to layers
_BOUNDS = np.log([[0.1, 100.0], [0.01, 100.0]])
"""Of the variance, where values have a variance of one, and of the length scale."""


class AutoKeras(Modelled):
    """A Gaussian process on edit distances, and a search of the tree of morphisms for its optimum.

    The covariance of two networks is a Gaussian function of their distance after Bourgain's
    embedding (section 3.1; :mod:`hwnas.search._edit_distance`). Its variance and length scale and
    the noise, which are fixed in the paper, maximise the marginal likelihood. What is not measured
    yet is worth its lower confidence bound, mean minus ``beta`` deviations (section 3.2).

    Algorithm 1 looks for the least bound, half A* and half simulated annealing: a queue begins with
    all networks told, worth what they are; the best is taken out and, with the probability of
    annealing, ``children`` morphs of it are put in, for ``steps`` in which it cools down or until
    nothing is left. The least bound met is asked for, trained from the weights of the network told
    that it grew from. In a space without morphisms children are mutants. ``startup`` networks are
    random, where the paper has three of its own.

    With several objectives each proposal is for a preference vector of its own, and values and
    bounds are those of the augmented Chebyshev function.
    """

    paper = "Jin et al. 2019, Auto-Keras, arXiv:1806.10282"
    needs = frozenset({"parent", "inherit"})

    def __init__(
        self,
        context: Context,
        *,
        startup: int = 10,
        children: int = 8,
        steps: int = 44,
        beta: float = 2.576,
    ) -> None:
        at_least(1, children=children, steps=steps)
        super().__init__(context, startup, children)
        above(0, beta=beta)
        self._steps = steps
        self._beta = beta
        self._preference = Preference(context.objectives)
        self._number = cache(self._numbered)
        self._numbers: dict[object, int] = {}
        self._layers: list[Layers] = []
        self._apart: dict[tuple[int, int], float] = {}

    def _fit(
        self, architectures: Sequence[Architecture], values: np.ndarray, rng: np.random.Generator
    ) -> Predict:
        embedding = Embedding(len(architectures), rng)
        known = embedding(self._distances(architectures, architectures))
        apart = _squares(known, known)
        scale = apart[apart > 0].mean() if (apart > 0).any() else 1.0

        def covariance(parameters: np.ndarray, apart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            decay = apart / scale / np.exp(2 * parameters[1])
            matrix = np.exp(parameters[0] - decay)
            return matrix, np.array([matrix, matrix * 2 * decay])

        processes = [fit(lambda p: covariance(p, apart), y, np.zeros(2), _BOUNDS) for y in values.T]

        def predict(new: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
            apart = _squares(embedding(self._distances(new, architectures)), known)
            found = [
                process(
                    covariance(process.parameters, apart)[0],
                    np.full(len(new), np.exp(process.parameters[0])),
                )
                for process in processes
            ]
            return stacked(found)

        return predict

    def _numbered(self, architecture: Architecture) -> int:
        """The number of its layers, that of the first network whose layers are the same."""
        layers = Layers.of(network(self.context.space, architecture))
        number = self._numbers.setdefault(layers.key, len(self._layers))
        if number == len(self._layers):
            self._layers.append(layers)
        return number

    def _distances(self, a: Sequence[Architecture], b: Sequence[Architecture]) -> np.ndarray:
        """Edit distances, shape ``[n_a, n_b]``, each computed once."""
        rows, columns = [self._number(x) for x in a], [self._number(x) for x in b]
        pairs = {(min(i, j), max(i, j)) for i in rows for j in columns if i != j}
        new = sorted(pairs - self._apart.keys())
        if new:
            given = [(self._layers[i], self._layers[j]) for i, j in new]
            self._apart.update(zip(new, distances(given, _BALANCE).tolist(), strict=True))
        return np.array(
            [[0.0 if i == j else self._apart[min(i, j), max(i, j)] for j in columns] for i in rows]
        )

    def _chosen(self, asked: Sequence[Proposal]) -> Proposal | None:
        """Algorithm 1: the network of the least bound, with the weights of the one it grew from."""
        rng = self.context.rng
        preference = self._preference.draw(rng)
        bound = self._bound(preference)
        queue = [
            (self._preference.value(told.metrics, preference), i, told.architecture, told.id)
            for i, told in enumerate(self._told)
        ]
        count = len(queue)
        heapify(queue)
        met: set[Architecture] = set()
        best = np.inf
        found: tuple[Architecture | None, int | None] = None, None
        for step in range(self._steps):
            if not queue:
                break
            temperature = _COLDEST ** (step / self._steps)
            value, _, architecture, root = heappop(queue)
            if rng.random() < _accepted(value, best, temperature):
                children = self._candidate.fresh(
                    lambda parent=architecture: morph(self.context.space, parent, rng),  # type: ignore[misc]
                    self._candidates,
                    met,
                )
                met.update(children)
                for child, worth in zip(children, bound(children), strict=True):
                    heappush(queue, (float(worth), count, child, root))
                    count += 1
                    if worth < best:
                        best, found = float(worth), (child, root)
        new, parent = found
        return self._proposed(self._random() if new is None else new, parent)

    def _bound(self, preference: np.ndarray) -> Bound:
        objectives = self.context.objectives
        logarithmic = self._logarithmic(np.array([told.values for told in self._told]))

        def bound(architectures: Sequence[Architecture]) -> np.ndarray:
            if not architectures:
                return np.zeros(0)
            least = np.zeros((len(architectures), len(objectives)))
            if self._expensive.any():
                mean, deviation = self._predict(architectures)
                least[:, self._expensive] = mean - self._beta * deviation
                least[:, logarithmic] = np.exp(least[:, logarithmic])
            return np.array(
                [
                    np.inf if costs is None else self._preference.value(costs, preference)
                    for costs in map(self._metrics, architectures, least)
                ]
            )

        return bound

    def _metrics(self, architecture: Architecture, least: np.ndarray) -> Mapping[str, float] | None:
        """Metrics of these values, the cheap ones as they are, None if those cannot be told."""
        costs = self._costs(architecture)
        if costs is None:
            return None
        objectives = self.context.objectives
        return {o.name: o.sign * v for o, v in zip(objectives, least, strict=True)} | dict(costs)

    def _tell(self, outcome: Outcome) -> None:
        super()._tell(outcome)
        self._preference.observe(outcome.metrics)

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "preference": self._preference.state_dict()}

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        self._preference.load_state_dict(state["preference"])


def _accepted(value: float, best: float, temperature: float) -> float:
    """The probability of annealing, of what is worth ``value`` beside the ``best``."""
    return float(np.exp(min((best - value) / temperature, 0.0)))


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances between points, shape ``[n_a, n_b]``."""
    return np.asarray(((a[:, None] - b[None]) ** 2).sum(axis=2))
