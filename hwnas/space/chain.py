"""Chain-structured networks: layer after layer, each with hyperparameters of its own."""

from __future__ import annotations

from hwnas.core.errors import HwnasError
from hwnas.core.space import Pick, Space
from hwnas.core.tensor_type import TensorType
from hwnas.graph.blocks import conv_norm_relu, separable_norm_relu
from hwnas.graph.graph import Graph, Node
from hwnas.graph.ops.global_pool import GlobalPool
from hwnas.graph.ops.linear import Linear
from hwnas.graph.ops.pool import Pool


class Chain(Space):
    """A sequence of layers: depth, then each layer's type, then that type's hyperparameters.

    A convolution has filters, kernel and stride, a separable one filters and kernel, a pool its
    kind; nothing shrinks an image of one pixel. Conditional: what is not there has no choice.
    """

    paper = "Baker et al. 2017, MetaQNN, arXiv:1611.02167; Zoph & Le 2017, arXiv:1611.01578"

    def __init__(
        self,
        input: TensorType,
        outputs: int,
        *,
        depth: list[int] | None = None,
        filters: list[int] | None = None,
        kernels: list[int] | None = None,
    ) -> None:
        super().__init__(input, outputs)
        self.depth = depth or [2, 3, 4, 5, 6]
        self.filters = filters or [8, 16, 32]
        self.kernels = kernels or [1, 3, 5]
        for name, values in (("depth", self.depth), ("filters", self.filters)):
            if min(values) < 1:
                raise HwnasError(f"chain: {name} must be at least 1, got {values}.")
        even = [k for k in self.kernels if k % 2 == 0 or k < 1]
        if even:
            raise HwnasError(f"chain: kernels must be odd, got {even}.", "e.g. kernels: [1, 3, 5]")

    def graph(self, pick: Pick) -> Graph:
        """The layers, global pooling, classifier."""
        g = Graph(self.input)
        x = g.input
        for i in range(pick("depth", self.depth)):
            x = self._layer(pick, g, x, f"layer{i}")
        x = g.add("pool", GlobalPool(), x)
        return g.finish(g.add("classifier", Linear(self.outputs, fixed=True), x))

    def _layer(self, pick: Pick, g: Graph, x: Node, name: str) -> Node:
        shrinks = min(x.type.shape[1:]) > 1
        types = ["conv", "separable", "pool"] if shrinks else ["conv", "separable"]
        type = pick(f"{name}.type", types)
        if type == "pool":
            kind = pick(f"{name}.pool", ["max", "avg"])
            return g.add(name, Pool("max" if kind == "max" else "avg", 2, 2), x)
        filters = pick(f"{name}.filters", self.filters)
        kernel = pick(f"{name}.kernel", self.kernels)
        if type == "separable":
            return g.add(name, separable_norm_relu(filters, kernel), x)
        stride = pick(f"{name}.stride", [1, 2] if shrinks else [1])
        return g.add(name, conv_norm_relu(filters, kernel, stride), x)
