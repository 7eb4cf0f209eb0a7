"""Moves in a search space: sample, mutate, cross, neighbours, each a walk over the choices.

Only structural answers decide which choices come next, so the run of choices up to the next
structural one is remembered by the structural answers before it: ``graph`` is replayed once for a
new prefix, not for every move.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb, isinf, prod
from weakref import WeakKeyDictionary

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice, Value
from hwnas.core.errors import HwnasError
from hwnas.core.space import Space
from hwnas.core.tensor_type import TensorType
from hwnas.space.replay import Decide, Discrete, build

_Runs = dict[tuple[Value, ...], list[Choice]]
_memory: WeakKeyDictionary[Space, _Runs] = WeakKeyDictionary()
_LIMIT = 50_000  # remembered prefixes a space; beyond it a walk replays the graph


def walk(space: Space, decide: Decide) -> Architecture:
    """The architecture that answers every choice met with ``decide``, in order."""
    runs = _memory.setdefault(space, {})
    picks: dict[str, Value] = {}
    prefix: tuple[Value, ...] = ()
    while (run := runs.get(prefix)) is not None:
        for choice in run:
            picks[choice.name] = decide(choice)
        if not run or not run[-1].structural:
            return Architecture(picks)
        prefix = (*prefix, picks[run[-1].name])

    def resume(choice: Choice) -> Value:
        return picks[choice.name] if choice.name in picks else decide(choice)

    pick = Discrete(resume)
    space.graph(pick)
    if len(runs) < _LIMIT:
        _remember(runs, pick)
    return Architecture(pick.picks)


def _remember(runs: _Runs, pick: Discrete) -> None:
    prefix: tuple[Value, ...] = ()
    run: list[Choice] = []
    for choice in pick.choices.values():
        run.append(choice)
        if choice.structural:
            runs.setdefault(prefix, run)
            prefix, run = (*prefix, pick.picks[choice.name]), []
    runs.setdefault(prefix, run)


def _draw(choice: Choice, rng: np.random.Generator) -> Value:
    return choice.values[int(rng.integers(len(choice.values)))]


def sample(space: Space, rng: np.random.Generator) -> Architecture:
    """An architecture whose every choice is uniform among its values."""
    return walk(space, lambda choice: _draw(choice, rng))


def output(space: Space) -> TensorType:
    """The type that the networks of a space put out, told by a random one."""
    return build(space, sample(space, np.random.default_rng(0))).output.type


def choices(space: Space, architecture: Architecture) -> list[Choice]:
    """The choices that an architecture answers, in order."""
    met: list[Choice] = []

    def decide(choice: Choice) -> Value:
        met.append(choice)
        return architecture[choice.name]

    walk(space, decide)
    return met


def mutate(space: Space, parent: Architecture, rng: np.random.Generator) -> Architecture:
    """``parent`` with one choice, drawn uniformly, changed to another of its values.

    Choices that this brings into being are drawn; those whose value is still allowed keep it.
    """
    met = choices(space, parent)
    if not met:
        raise HwnasError("the space has nothing to choose, so nothing can be mutated.")
    changed = met[rng.integers(len(met))]
    others = [value for value in changed.values if value != parent[changed.name]]
    value = others[rng.integers(len(others))]
    return _with(space, parent, changed.name, value, lambda choice: _draw(choice, rng))


def _with(
    space: Space, parent: Architecture, name: str, value: Value, otherwise: Decide
) -> Architecture:
    """``parent`` with one value changed; ``otherwise`` answers what its values do not fit."""

    def decide(choice: Choice) -> Value:
        if choice.name == name:
            return value
        kept = parent.get(choice.name)
        keep = choice.name in parent and kept in choice.values
        return kept if keep else otherwise(choice)

    return walk(space, decide)


def cross(
    space: Space, mother: Architecture, father: Architecture, rng: np.random.Generator
) -> Architecture:
    """Uniform crossover: each choice from a parent drawn at random, where its value is allowed."""

    def decide(choice: Choice) -> Value:
        parents = (mother, father) if rng.random() < 0.5 else (father, mother)
        for parent in parents:
            if choice.name in parent and parent[choice.name] in choice.values:
                return parent[choice.name]
        return _draw(choice, rng)

    return walk(space, decide)


def morph(
    space: Space, parent: Architecture, rng: np.random.Generator, exact: bool = False
) -> Architecture:
    """A change of ``parent`` that its weights survive, where the space has one; else a mutation."""
    return space.morph(parent, rng, exact) or mutate(space, parent, rng)


def every(space: Space) -> Iterator[Architecture]:
    """Every architecture of the space once, in the order of the choices' values."""
    taken: list[int] = []
    while True:
        met: list[Choice] = []

        def decide(choice: Choice, met: list[Choice] = met) -> Value:
            if len(met) == len(taken):
                taken.append(0)
            met.append(choice)
            return choice.values[taken[len(met) - 1]]

        yield walk(space, decide)
        while taken and taken[-1] + 1 == len(met[len(taken) - 1].values):
            taken.pop()
        if not taken:
            return
        taken[-1] += 1


def neighbours(space: Space, architecture: Architecture) -> Iterator[Architecture]:
    """Every architecture that differs in one choice; new choices take their first value."""
    for changed in choices(space, architecture):
        for value in changed.values:
            if value != architecture[changed.name]:
                yield _with(space, architecture, changed.name, value, lambda c: c.values[0])


@dataclass(frozen=True)
class Size:
    """A number of architectures; ``error`` is its standard error, None where it is exact."""

    mean: float
    error: float | None = None

    def __str__(self) -> str:
        if isinf(self.mean):
            return "no end of"
        digits = f"{self.mean:,.0f}" if self.mean < 1e9 else f"{self.mean:.3g}"
        return digits if self.error is None else f"about {self.mean:.2g} (± {self.error:.1g})"


def size(space: Space, rng: np.random.Generator) -> Size:
    """How many architectures a space has, exact where it is known and an estimate elsewhere."""
    known = space.count()
    return estimated_size(space, rng) if known is None else Size(float(known))


def estimated_size(space: Space, rng: np.random.Generator, walks: int = 1000) -> Size:
    """Knuth's unbiased estimate (1975): the mean over random walks of the product of the values.

    Exact where no choice is structural, as every walk then gives the same product.
    """

    def values(choice: Choice) -> int:
        return len(choice.options) if choice.k is None else comb(len(choice.options), choice.k)

    counts = []
    for _ in range(walks):
        met: list[Choice] = []

        def decide(choice: Choice, met: list[Choice] = met) -> Value:
            met.append(choice)
            return _draw(choice, rng)

        walk(space, decide)
        counts.append(prod(float(values(choice)) for choice in met))
        if not any(choice.structural for choice in met):
            return Size(counts[0])
    return Size(float(np.mean(counts)), float(np.std(counts) / np.sqrt(walks)))
