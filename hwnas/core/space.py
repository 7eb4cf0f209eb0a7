"""The contract of a search space: one function."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Label
from hwnas.core.errors import HwnasError
from hwnas.core.tensor_type import TensorType

if TYPE_CHECKING:
    import numpy as np

    from hwnas.graph.graph import Graph, Node
    from hwnas.graph.op import Op

    Option = Op | Callable[[Node], Node]

T = TypeVar("T", bound=Label)


class Pick(Protocol):
    """What a space author asks for decisions. The same name asked again gets the same answer."""

    def __call__(self, name: str, options: Sequence[T]) -> T:
        """Choose structure: depth, width, layer type. One option is no choice."""

    def op(self, name: str, x: Node, options: Mapping[T, Option]) -> Node:
        """Choose what is applied to ``x``: an op, or a function that builds on it.

        Options of several sizes are labelled by them, ascending: then the choice is ordered.
        """

    def inputs(self, name: str, candidates: Mapping[Label, Node], k: int) -> dict[Label, Node]:
        """Choose ``k`` of the candidates; whoever sums them gates them."""


class Space(ABC):
    """A set of networks from ``input`` to ``outputs``, defined by :meth:`graph` alone.

    Sampling, mutation, the stand-alone network, the supernet, costs and pictures are derived by
    replaying it. Keyword-only parameters of the constructor are the options of a pipeline file.
    """

    paper: ClassVar[str] = ""

    def __init__(self, input: TensorType, outputs: int) -> None:
        self.input = input
        self.outputs = outputs

    @abstractmethod
    def graph(self, pick: Pick) -> Graph:
        """Build one network, asking ``pick`` for every decision. Must be a pure function."""

    def count(self) -> float | None:
        """How many architectures there are, inf if no end of them, None where no one counted.

        Needed only where a choice is structural; otherwise it is the product of the choices.
        """
        return None

    def sketch(self) -> Space:
        """A space of the same architectures whose networks show their structure with less to read.

        For models of structure, which look at thousands: where cells are repeated, each once. By
        default the space itself.
        """
        return self

    def parse(self, text: str) -> Architecture:
        """The architecture that ``text`` spells: JSON, or the published notation of the space.

        Raises :class:`HwnasError` if it is neither.
        """
        try:
            return Architecture.from_json(json.loads(text))
        except (ValueError, AttributeError):
            raise HwnasError(
                f"{text!r} is no architecture.", 'Expected JSON: {"choice": "option", ...}.'
            ) from None

    def morph(
        self, parent: Architecture, rng: np.random.Generator, exact: bool = False
    ) -> Architecture | None:
        """One random change of ``parent`` after which its weights can be taken over by `transfer`.

        ``exact`` asks for one that keeps the function. None where there is no such change: by
        default a space knows none.
        """
        return None

    def transfer(
        self, parent: Architecture, child: Architecture, weights: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """The weights of ``parent`` as those of ``child``; by default as they are.

        Whoever takes them keeps those whose name and shape are the child's and draws the others.
        """
        return dict(weights)
