"""One morphism more, in a space that asks for them step by step."""

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice, Label, Value
from hwnas.core.errors import HwnasError
from hwnas.core.space import Space
from hwnas.space.moves import walk

STOP, WIDEN, DEEPEN = "stop", "widen", "deepen"

Offered = dict[str, tuple[Label, ...]]
"""What each choice of a morphism offered."""


def smallest(space: Space) -> Architecture:
    """The network before any morphism. Raises :class:`HwnasError` if there are none to choose."""
    offered: Offered = {}

    def decide(choice: Choice) -> Value:
        offered[choice.name] = choice.options
        return choice.values[0]

    network = walk(space, decide)
    if not {STOP, WIDEN, DEEPEN} <= set(offered.get("0.kind", ())):
        raise HwnasError(
            "eas: the space does not offer to widen and to deepen a network step by step.",
            "Take space: {name: morph}, with widen and deepen among its kinds.",
        )
    return network


def grown(
    space: Space, network: Architecture, kind: str, where: Label = None, detail: Label = None
) -> tuple[Architecture, Offered]:
    """A network after one morphism more and what its choices offered.

    It is the same network where the morphism cannot be applied, or not at that place. What is None,
    or not offered, is the first that is.
    """
    number = _steps(network)
    offered: Offered = {}

    def decide(choice: Choice) -> Value:
        at, _, what = choice.name.partition(".")
        if int(at) != number:
            return network[choice.name] if int(at) < number else STOP
        if what == "kind":
            return kind if kind in choice.options else STOP
        offered[what] = choice.options
        wanted = where if what == "where" else detail
        return wanted if wanted in choice.options else choice.options[0]

    new = walk(space, decide)
    gone = where is not None and where not in offered.get("where", ())
    return (network if gone else new), offered


def _steps(network: Architecture) -> int:
    """How many morphisms made a network."""
    return sum(name.endswith(".kind") and value != STOP for name, value in network.items())
