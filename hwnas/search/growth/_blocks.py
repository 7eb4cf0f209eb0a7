"""Networks that grow block by block, the blocks not yet decided being the simplest there are."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from math import ceil, inf
from typing import NamedTuple

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice, Value
from hwnas.core.space import Space
from hwnas.space.moves import choices, walk


class Place(NamedTuple):
    """The block a choice belongs to, its slot there, and its role, which other blocks have too."""

    block: str
    slot: str
    role: str


@cache
def place(name: str) -> Place:
    """Where a choice belongs, told by its name.

    The block is the name up to its first part that is a number (``normal.2.left.op``), or else that
    has one (``layer0.kernel``), or else all of it (``depth``). An edge ``i-j`` is slot i of node j.
    """
    parts = re.split(r"[./]", name)
    if edge := re.fullmatch(r"(\d+)-(\d+)", parts[-1]):
        parts[-1:] = [edge[2], edge[1]]
    bare = [i for i, part in enumerate(parts) if part.isdecimal()]
    numbered = [i for i, part in enumerate(parts) if re.search(r"\d", part)]
    end = [*bare, *numbered, len(parts) - 1][0] + 1
    block, slot = ".".join(parts[:end]), ".".join(parts[end:])
    return Place(block, slot, re.sub(r"\d", "", parts[-1]))


def plain(choice: Choice) -> Value:
    """The simplest value: what leaves its input as it is, the least number, or the first option."""
    if choice.k is not None:
        return choice.options[: choice.k]
    if all(isinstance(option, int | float) for option in choice.options):
        return min(choice.options)  # type: ignore[type-var]
    idle = [o for o in choice.options if re.search("identity|skip", str(o))]
    return (idle or choice.options)[0]


def blocks(space: Space, architecture: Architecture, begin: int = 0) -> list[list[Choice]]:
    """The choices of a network from number ``begin`` on, in order, cut into its blocks."""
    met = choices(space, architecture)[begin:]
    return [list(run) for _, run in groupby(met, lambda choice: place(choice.name).block)]


@dataclass(frozen=True)
class Partial:
    """A network of which the first ``decided`` choices were made and the others are plain."""

    architecture: Architecture
    decided: int = 0

    @classmethod
    def root(cls, space: Space) -> "Partial":
        """Nothing is decided yet."""
        return cls(walk(space, plain))

    @property
    def whole(self) -> bool:
        """Whether nothing is left to decide."""
        return self.decided == len(self.architecture)


def grown(
    space: Space, parent: Partial, left: int, most: int, rng: np.random.Generator
) -> list[Partial]:
    """What ``parent`` becomes by one step of growth: all ways, or ``most`` of them at random.

    A step is a block, or so many that ``left`` steps make a whole network.
    """
    step = ceil(len(blocks(space, parent.architecture, parent.decided)) / left) if left > 1 else inf
    found: list[Partial] = []
    taken: list[int] = []
    while len(found) <= most:
        sizes: list[int] = []

        def following(choice: Choice, sizes: list[int] = sizes) -> Value:
            sizes.append(len(choice.values))
            if len(sizes) > len(taken):
                taken.append(0)
            return choice.values[taken[len(sizes) - 1]]

        found.append(_child(space, parent, step, following))
        while taken and taken[-1] + 1 == sizes[len(taken) - 1]:
            taken.pop()
        if not taken:
            return found
        taken[-1] += 1

    def random(choice: Choice) -> Value:
        return choice.values[int(rng.integers(len(choice.values)))]

    return list(dict.fromkeys(_child(space, parent, step, random) for _ in range(most)))


def _child(
    space: Space, parent: Partial, step: float, decide: Callable[[Choice], Value]
) -> Partial:
    """``parent`` with ``step`` blocks more that ``decide`` answers."""
    begun: list[str] = []  # of the blocks, the last of which may be that where it ends
    met, decided = 0, parent.decided

    def answer(choice: Choice) -> Value:
        nonlocal met, decided
        met += 1
        if met <= parent.decided:
            return parent.architecture[choice.name]
        block = place(choice.name).block
        if len(begun) <= step and begun[-1:] != [block]:
            begun.append(block)
        if len(begun) > step:
            return plain(choice)
        decided = met
        return decide(choice)

    return Partial(walk(space, answer), decided)


def sentence(space: Space, architecture: Architecture) -> Sequence[Sequence[Sequence[str]]]:
    """The blocks of a network as lists of tokens, one for each option taken.

    A token is known by its option and the role, the slot and the name of its choice, so that what
    is learned of an option in one block holds for another, and yet each may be learned apart.
    """
    return [
        [t for c in block for t in _tokens(c, architecture)]
        for block in blocks(space, architecture)
    ]


def _tokens(choice: Choice, architecture: Architecture) -> list[list[str]]:
    value = architecture[choice.name]
    where = place(choice.name)
    names = dict.fromkeys((where.role, where.slot, choice.name))
    options = value if isinstance(value, tuple) else (value,)
    return [[f"{name}={option}" for name in names] for option in options]
