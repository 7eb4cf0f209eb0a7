"""A space of nothing but choices, for tests."""

from typing import Any

from hwnas.core import Space, TensorType
from hwnas.core.space import Pick
from hwnas.graph.graph import Graph
from hwnas.graph.ops.linear import Linear


class Words(Space):
    """Choices ``c0``, ``c1``, ..., then named ones: of a list one, of a pair (n, k) ``k`` of n."""

    def __init__(self, *choices: list[Any] | tuple[int, int], **named: Any) -> None:
        super().__init__(TensorType((1,)), 3)
        self.choices = {f"c{i}": options for i, options in enumerate(choices)} | named

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        for name, options in self.choices.items():
            if isinstance(options, list):
                pick(name, options)
            else:
                pick.inputs(name, dict.fromkeys(range(options[0]), g.input), options[1])
        return g.finish(g.add("classifier", Linear(self.outputs), g.input))
