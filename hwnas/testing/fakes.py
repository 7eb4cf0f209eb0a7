"""A task that is learnt in a second and an estimator that trains nothing, for tests."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice, Label
from hwnas.core.errors import HwnasError
from hwnas.core.estimator import Estimator
from hwnas.core.metric import Metric
from hwnas.core.mixture import Mixture
from hwnas.core.outcome import Outcome, Spent
from hwnas.core.proposal import Proposal
from hwnas.core.setting import Setting
from hwnas.core.tensor_type import TensorType
from hwnas.space.replay import build, relax
from hwnas.task.classification import Classification
from hwnas.task.task import Recipe, Split, SplitName


class FakeTask(Classification):
    """Three classes of noisy 4 x 4 images, 96 to train on: separable, and made on the spot."""

    recipe = Recipe(batch=32, lr=0.1)
    scale = 1.0

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed

    @property
    def input(self) -> TensorType:
        """One channel of 4 x 4 pixels."""
        return TensorType((1, 4, 4))

    @property
    def labels(self) -> list[str]:
        """Three letters."""
        return ["a", "b", "c"]

    def read(self) -> Mapping[SplitName, Split]:
        """A pattern a class, with noise; balanced."""
        rng = np.random.default_rng(self._seed)
        patterns = rng.standard_normal((3, 1, 4, 4))
        sizes: dict[SplitName, int] = {"train": 96, "valid": 48, "test": 48}
        splits = {}
        for name, size in sizes.items():
            y = rng.permutation(np.arange(size) % 3)
            x = patterns[y] + 0.3 * rng.standard_normal((size, 1, 4, 4))
            splits[name] = Split(x.astype(np.float32), y)
        return splits


class FakeEstimator(Estimator):
    """Metrics from a multilinear function of the point, drawn by a hash: the same everywhere.

    ``error`` falls with training; ``flops`` and ``params`` are cheap. Proposals whose id is in
    ``fails`` fail. With several ``slots`` one of those in work, drawn by ``order``, finishes first.
    Weights of parents are remembered, and kept in the setting's folder if it asks for them.
    """

    provides = frozenset({"mixture", "gradient", "second_order", "parent", "inherit", "shared"})

    def __init__(
        self,
        setting: Setting,
        *,
        units: int = 9,
        slots: int = 1,
        fails: Container[int] = (),
        order: int | None = None,
    ) -> None:
        super().__init__(setting)
        self.units = units
        self.slots = slots
        self._fails = fails
        self._order = None if order is None else np.random.default_rng(order)
        self._spent: dict[int, Spent] = {}

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """One expensive metric and two cheap ones."""
        return (
            Metric("error", worst=2.0),
            Metric("flops", cheap=True),
            Metric("params", cheap=True),
        )

    def estimate(self, proposals: Iterable[Proposal]) -> Iterator[Outcome]:
        """As they finish, which is out of order if there is an ``order``."""
        source = iter(proposals)
        running: list[Proposal] = []
        while True:
            while len(running) < self.slots and (new := next(source, None)) is not None:
                running.append(new)
            if not running:
                return
            first = 0 if self._order is None else int(self._order.integers(len(running)))
            yield from super().estimate([running.pop(first)])

    def _estimate(self, proposal: Proposal) -> Outcome:
        if proposal.id in self._fails:
            raise HwnasError(f"proposal {proposal.id} was chosen to fail.")
        if isinstance(proposal.point, Architecture):
            build(self.setting.space, proposal.point)  # raises if it is not of the space
        before = Spent() if proposal.parent is None else self._recall(proposal.parent)
        train = before.train + proposal.train
        spent = self._spent[proposal.id] = Spent(train, train, 0.0)
        if self.setting.keep and self.setting.folder is not None:
            path = self._path(proposal.id)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(train))
        metrics: dict[str, float] = {}
        gradients: dict[str, dict[str, np.ndarray]] = {}
        for metric in self.metrics:
            if proposal.gradient:
                gradients[metric.name] = self.gradient(proposal.point, metric.name)
            if proposal.gradient or proposal.score != 0:
                metrics[metric.name] = self.value(proposal.point, metric.name)
        if "error" in metrics:
            metrics["error"] += 0.5 / (1 + train)
        return Outcome(proposal, metrics, gradients, spent)

    def costs(self, architecture: Architecture) -> Mapping[str, float]:
        """The cheap metrics of an architecture that has not been trained."""
        return {m.name: self.value(architecture, m.name) for m in self.metrics if m.cheap}

    def value(self, point: Architecture | Mixture, metric: str) -> float:
        """The metric after endless training: mean over choices ``c`` of ``f(c) (1 + f(c + 1))``.

        ``f(c)`` is the weighted sum of a number in [0, 1) an option.
        """
        f = np.array(list(self._factors(point, metric).values()))
        return float((f.sum() + (f[:-1] * f[1:]).sum()) / max(1, len(f)))

    def gradient(self, point: Architecture | Mixture, metric: str) -> dict[str, np.ndarray]:
        """Its derivative in every weight, choice -> ``[n_options]``."""
        factors = self._factors(point, metric)
        names, f = list(factors), [0.0, *factors.values(), 0.0]
        result = {}
        for i, name in enumerate(names):
            options = self._choices[name].options
            slope = (1 + f[i] + f[i + 2]) / len(names)
            result[name] = slope * np.array([_draw(metric, name, o) for o in options])
        return result

    def _factors(self, point: Architecture | Mixture, metric: str) -> dict[str, float]:
        if isinstance(point, Architecture):
            taken = {n: v if isinstance(v, tuple) else (v,) for n, v in point.items()}
            return {n: sum(_draw(metric, n, o) for o in taken[n]) for n in sorted(taken)}
        numbers = {
            name: np.array([_draw(metric, name, o) for o in self._choices[name].options])
            for name in sorted(self._choices)
        }
        return {n: float(point.weights(self._choices[n]) @ u) for n, u in numbers.items()}

    @cached_property
    def _choices(self) -> Mapping[str, Choice]:
        return relax(self.setting.space)[1]

    def _recall(self, id: int) -> Spent:
        if id in self._spent:
            return self._spent[id]
        if self.setting.folder is None or not self._path(id).exists():
            raise HwnasError(f"there are no weights of proposal {id}.")
        train = json.loads(self._path(id).read_text())
        return Spent(train, train, 0.0)

    def _path(self, id: int) -> Path:
        assert self.setting.folder is not None
        return self.setting.folder / "fake" / f"{id}.json"


@lru_cache(maxsize=100_000, typed=True)
def _draw(metric: str, choice: str, option: Label) -> float:
    """A number in [0, 1) that is the same in every process; Python's own hash is not."""
    digest = sha256(json.dumps([metric, choice, option]).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
