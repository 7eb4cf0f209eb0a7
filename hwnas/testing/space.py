"""The contract of search spaces, as checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import islice
from math import isinf
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.space import Space
from hwnas.core.tensor_type import TensorType
from hwnas.graph.graph import Graph
from hwnas.space.moves import choices, cross, estimated_size, mutate, neighbours
from hwnas.space.replay import build
from hwnas.testing._require import require
from hwnas.testing._space_networks import check_network, check_onnx, check_supernet
from hwnas.testing.grounds import OUTPUTS, Grounds, space_grounds

_VAGUE = 0.1


def _outline(graph: Graph) -> list[tuple[Any, ...]]:
    return [(n.id, n.op, tuple(i.id for i in n.inputs), n.type) for n in graph]


def check_pure(grounds: Grounds) -> None:
    """The same answers give the same choices, node ids, operations and types."""
    for architecture in grounds.architectures():
        first, second = (build(grounds.space, architecture) for _ in range(2))
        require(_outline(first) == _outline(second), f"{architecture}: graph is not pure.")
        asked = [choices(grounds.space, architecture) for _ in range(2)]
        require(asked[0] == asked[1], f"{architecture}: other choices are asked the second time.")
        require(
            {choice.name for choice in asked[0]} == set(architecture),
            f"{architecture} does not hold just the choices that are asked.",
        )
        require(first.input.type == grounds.space.input, "the graph does not begin with the input.")
        shape = first.output.type.shape
        require(grounds.space.outputs in shape, f"the output is {shape}, without the outputs.")


def check_json(grounds: Grounds) -> None:
    """Architectures come back from JSON, with the same key."""
    for architecture in grounds.architectures():
        back = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
        require(back == architecture, f"{architecture} comes back from JSON as {back}.")
        require(back.key == architecture.key, f"{architecture} gets another key by JSON.")


def check_moves(grounds: Grounds) -> None:
    """Mutants, children and neighbours are of the space; mutants differ."""
    space, rng = grounds.space, np.random.default_rng(1)
    met = grounds.architectures()
    for mother, father in zip(met, met[1:] + met[:1], strict=True):
        mutant = mutate(space, mother, rng)
        require(mutant != mother, f"the mutant of {mother} does not differ.")
        for child in (mutant, cross(space, mother, father, rng)):
            build(space, child)
        near = list(islice(neighbours(space, mother), 50))
        require(mother not in near, f"{mother} is its own neighbour.")
        for neighbour in near:
            build(space, neighbour)


def check_size(grounds: Grounds) -> None:
    """The number of architectures that a space gives is that which random walks estimate."""
    space = grounds.space
    given = space.count()
    if given is None or isinf(given):
        return
    estimate = estimated_size(space, np.random.default_rng(0))
    error = estimate.error or 0.0
    if error > _VAGUE * estimate.mean:  # a few rare walks make up the mean: nothing can be said
        return
    require(
        abs(given - estimate.mean) <= 5 * error + 1e-6 * given,
        f"count() says {given:,.0f}, random walks {estimate}.",
    )


SPACE_CHECKS: tuple[Callable[[Grounds], None], ...] = (
    check_pure,
    check_json,
    check_moves,
    check_size,
    check_network,
    check_supernet,
    check_onnx,
)


def check_space(
    space: str | type[Space] | Space,
    options: Mapping[str, Any] | None = None,
    input: TensorType | None = None,
    outputs: int = OUTPUTS,
) -> None:
    """Raise AssertionError, saying what is wrong, if a space breaks its contract.

    ``options`` None stands for small ones. Raises :class:`HwnasError` if the space does not fit
    the input or the options.
    """
    grounds = space_grounds(space, options, input, outputs)
    for check in SPACE_CHECKS:
        check(grounds)
