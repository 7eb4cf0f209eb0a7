"""Replaying a space's ``graph`` with answers: one network, or all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice, Label, Value
from hwnas.core.errors import HwnasError
from hwnas.core.space import Space
from hwnas.graph.graph import Graph, Node, infer
from hwnas.graph.op import Op
from hwnas.graph.ops.mix import Mix

if TYPE_CHECKING:
    from hwnas.core.space import Option

T = TypeVar("T", bound=Label)
Decide = Callable[[Choice], Value]
"""Answers a choice with one of its values."""


def apply(name: str, option: Option, x: Node) -> Node:
    """The node of one option: ``name/option``, or what its function builds in that scope."""
    if callable(option):
        with x.graph.scope(name):
            return option(x)
    return x.graph.add(name, option, x)


def _shapes(x: Node, options: Mapping[T, Option]) -> bool:
    if any(map(callable, options.values())):
        return True
    return len({infer(option, x.type) for option in options.values()}) > 1


class Discrete:
    """A ``pick`` that takes one option each, as ``decide`` says, and remembers them."""

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self.choices: dict[str, Choice] = {}
        self.picks: dict[str, Value] = {}

    def _value(self, choice: Choice) -> Value:
        known = self.choices.get(choice.name)
        if known is None:
            self.choices[choice.name] = choice
            self.picks[choice.name] = self._decide(choice)
        elif known != choice:
            raise HwnasError(
                f"choice {choice.name!r} is asked twice with different options:"
                f" {known.options} and {choice.options}.",
                "Give each its own name.",
            )
        return self.picks[choice.name]

    def __call__(self, name: str, options: Sequence[T]) -> T:
        """The option taken."""
        if len(options) == 1:
            return options[0]
        return self._value(Choice(name, tuple(options), structural=True))  # type: ignore[return-value]

    def op(self, name: str, x: Node, options: Mapping[T, Option]) -> Node:
        """The option's node alone."""
        taken = next(iter(options))
        if len(options) > 1:
            # An option that is a function may ask for more, so what follows depends on it.
            # So does the type that it leaves, where that is asked for.
            known = self.choices.get(name)
            structural = known.structural if known else _shapes(x, options)
            choice = Choice(name, tuple(options), structural=structural)
            taken = self._value(choice)  # type: ignore[assignment]
        return apply(f"{name}/{taken}", options[taken], x)

    def inputs(self, name: str, candidates: Mapping[Label, Node], k: int) -> dict[Label, Node]:
        """The ``k`` candidates taken, in the order offered."""
        if len(candidates) <= k:
            return dict(candidates)
        taken = self._value(Choice(name, tuple(candidates), k=k, structural=True))
        return {c: candidates[c] for c in taken}  # type: ignore[union-attr]


class Relaxed:
    """A ``pick`` that takes every option at once, each weighted by a mixture."""

    def __init__(self) -> None:
        self.choices: dict[str, Choice] = {}

    def __call__(self, name: str, options: Sequence[T]) -> T:
        """The only option; a supernet cannot hold several structures."""
        if len(options) == 1:
            return options[0]
        raise HwnasError(
            f"choice {name!r} chooses structure, so the space has no supernet.",
            f"Give {name!r} one option only, or train networks one by one (estimator: train).",
        )

    def op(self, name: str, x: Node, options: Mapping[T, Option]) -> Node:
        """The mix of all options."""
        nodes = [apply(f"{name}/{label}", option, x) for label, option in options.items()]
        if len(options) == 1:
            return nodes[0]
        choice = self.choices.setdefault(name, Choice(name, tuple(options)))
        return x.graph.add(name, Mix(choice), *nodes)

    def inputs(self, name: str, candidates: Mapping[Label, Node], k: int) -> dict[Label, Node]:
        """All candidates, each gated."""
        if len(candidates) <= k:
            return dict(candidates)
        choice = self.choices.setdefault(name, Choice(name, tuple(candidates), k=k))
        return {label: x.gated(choice, i) for i, (label, x) in enumerate(candidates.items())}


def build(space: Space, architecture: Architecture) -> Graph:
    """The stand-alone network. Raises :class:`HwnasError` if it is not of the space."""

    def decide(choice: Choice) -> Value:
        value = architecture.get(choice.name)
        if choice.name not in architecture or value not in choice.values:
            got = repr(value) if choice.name in architecture else "nothing"
            raise HwnasError(
                f"architecture is not of the space: choice {choice.name!r} has {got}.",
                f"Allowed: {', '.join(map(repr, choice.values))}.",
            )
        return value

    pick = Discrete(decide)
    graph = space.graph(pick)
    surplus = set(architecture) - set(pick.picks)
    if surplus:
        raise HwnasError(
            f"architecture is not of the space: it decides {sorted(surplus)}, never asked for.",
            f"The choices are {', '.join(pick.picks)}.",
        )
    return graph


def relax(space: Space) -> tuple[Graph, dict[str, Choice]]:
    """The supernet's graph and its choices. Raises :class:`HwnasError` if there is none."""
    pick = Relaxed()
    graph = space.graph(pick)
    if not pick.choices:
        raise HwnasError("the space has nothing to choose, so there is nothing to relax.")
    return graph, pick.choices


def options_of(graph: Graph, kind: type[Op]) -> dict[str, set[int]]:
    """The options of each mixed choice of a relaxed graph that end in an operation of a class.

    Such as ``Identity``, a skip-connection, or ``Zero``, none. Choices without one are left out.
    """
    found: dict[str, set[int]] = {}
    for node in graph:
        if isinstance(node.op, Mix):
            those = {
                i
                for i, x in enumerate(node.inputs)
                if x.op is not None and isinstance(x.op.parts()[-1], kind)
            }
            if those:
                found.setdefault(node.op.choice.name, set()).update(those)
    return found
