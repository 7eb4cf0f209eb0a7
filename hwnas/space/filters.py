"""Residual layers whose kernel size and number of filters are chosen in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.core.errors import HwnasError
from hwnas.core.space import Pick, Space
from hwnas.core.tensor_type import TensorType
from hwnas.graph.blocks import conv_norm_relu, norm_relu
from hwnas.graph.classify import classify
from hwnas.graph.graph import Graph, Node
from hwnas.graph.ops.activation import Activation
from hwnas.graph.ops.batch_norm import BatchNorm
from hwnas.graph.ops.conv import Conv
from hwnas.graph.ops.sum import Sum

if TYPE_CHECKING:
    from hwnas.core.space import Option


class Filters(Space):
    """Layer by layer how many filters of which size, in residual blocks.

    A block has n filters of k x k, norm and ReLU, a 1x1 convolution back to its stage's channels,
    and the sum with what came in. Choices ``"stage0/layer1/filters"`` and
    ``"stage0/layer1/kernel"`` have numbers as options. What mixes them comes before anything that
    is not linear, so that a mixture of sizes is a layer of such a size
    (:class:`~hwnas.search.gradient.das.DAS`). ``filters`` are those of the first stage. Every stage
    after it halves the image and doubles them and the ``channels``.
    """

    paper = "He et al. 2016, Deep residual learning, arXiv:1512.03385"

    def __init__(
        self,
        input: TensorType,
        outputs: int,
        *,
        stages: int = 3,
        layers: int = 2,
        channels: int = 16,
        filters: list[int] | None = None,
        kernels: list[int] | None = None,
    ) -> None:
        super().__init__(input, outputs)
        self.stages = stages
        self.layers = layers
        self.channels = channels
        self.filters = filters or [4, 8, 16, 32]
        self.kernels = kernels or [1, 3, 5, 7]
        if min(stages, layers, channels) < 1:
            raise HwnasError(
                f"filters: stages ({stages}), layers ({layers}) and channels ({channels}) must be"
                " at least 1."
            )
        for name, sizes in (("filters", self.filters), ("kernels", self.kernels)):
            odd = name == "filters" or all(k % 2 for k in sizes)
            if min(sizes) < 1 or sorted(set(sizes)) != sizes or not odd:
                raise HwnasError(
                    f"filters: {name} is {sizes}.",
                    "At least 1, ascending, each once, and kernels odd.",
                )

    def graph(self, pick: Pick) -> Graph:
        """Stages that begin with a convolution, classifier."""
        g = Graph(self.input)
        x = g.input
        for stage in range(self.stages):
            factor = 2**stage
            entry = conv_norm_relu(self.channels * factor, 3, 2 if stage else 1)
            x = g.add(f"stage{stage}", entry, x)
            for layer in range(self.layers):
                place = f"stage{stage}/layer{layer}"
                y = pick.op(f"{place}/filters", x, self._sizes(pick, place, factor))
                y = g.add(f"{place}/norm", BatchNorm(), y)
                x = g.add(f"{place}/sum", Sum(), x, y)
                x = g.add(f"{place}/relu", Activation(), x)
        return g.finish(classify(x, self.outputs))

    def _sizes(self, pick: Pick, place: str, factor: int) -> dict[int, Option]:
        """The layer of each number of filters, each of whatever kernel is picked."""

        def sized(width: int) -> Option:
            def layer(x: Node) -> Node:
                kernels = {k: Conv(width, k) for k in self.kernels}
                y = pick.op(f"{place}/kernel", x, kernels)
                y = x.graph.add("norm", norm_relu(), y)
                return x.graph.add("back", Conv(self.channels * factor, 1), y)

            return layer

        return {width * factor: sized(width * factor) for width in self.filters}

    def count(self) -> float:
        """Every layer has its two choices."""
        sizes = len(self.filters) * len(self.kernels)
        return float(sizes) ** (self.stages * self.layers)
