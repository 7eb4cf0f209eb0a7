"""NAS-Bench-201: one cell of four nodes and six edges, stacked in three stages."""

from __future__ import annotations

from functools import cache

from hwnas.core.architecture import Architecture
from hwnas.core.errors import HwnasError
from hwnas.core.space import Pick, Space
from hwnas.core.tensor_type import TensorType
from hwnas.graph.blocks import norm_relu, relu_conv_norm, stem
from hwnas.graph.classify import classify
from hwnas.graph.graph import Graph, Node
from hwnas.graph.op import Op
from hwnas.graph.ops.conv import Conv
from hwnas.graph.ops.identity import Identity
from hwnas.graph.ops.pool import Pool
from hwnas.graph.ops.sequence import Sequence
from hwnas.graph.ops.sum import Sum
from hwnas.graph.ops.zero import Zero


class NasBench201(Space):
    """The cell of NAS-Bench-201 in its three-stage skeleton: 15,625 architectures.

    ``channels`` of the first stage double in each later one; ``cells`` a stage (the benchmark has
    16 and 5). Choice ``"0-1"`` is the operation on the edge from node 0 to node 1.
    """

    paper = "Dong & Yang 2020, NAS-Bench-201, arXiv:2001.00326"

    def __init__(
        self, input: TensorType, outputs: int, *, cells: int = 5, channels: int = 16
    ) -> None:
        super().__init__(input, outputs)
        if cells < 1 or channels < 1:
            raise HwnasError(
                f"nas_bench_201: cells ({cells}) and channels ({channels}) must be at least 1."
            )
        self.cells = cells
        self.channels = channels

    def graph(self, pick: Pick) -> Graph:
        """Stem, three stages of cells with a residual reduction between, classifier."""
        g = Graph(self.input)
        x = g.add("stem", stem(self.channels), g.input)
        for stage in range(3):
            channels = self.channels * 2**stage
            with g.scope(f"stage{stage}"):
                if stage:
                    x = reduction(g, x, channels)
                for cell in range(self.cells):
                    with g.scope(f"cell{cell}"):
                        x = _cell(pick, g, x, channels)
        x = g.add("head", norm_relu(), x)
        return g.finish(classify(x, self.outputs))

    def sketch(self) -> NasBench201:
        """One cell a stage."""
        if self.cells == 1:
            return self
        return NasBench201(self.input, self.outputs, cells=1, channels=self.channels)

    def parse(self, text: str) -> Architecture:
        """JSON or the benchmark's own notation."""
        return super().parse(text) if text.startswith("{") else from_string(text)


@cache
def _options(channels: int) -> dict[str, Op]:
    return {
        "none": Zero(),
        "skip_connect": Identity(),
        "nor_conv_1x1": relu_conv_norm(channels, 1),
        "nor_conv_3x3": relu_conv_norm(channels, 3),
        "avg_pool_3x3": Pool("avg", 3, padding=1),
    }


def _cell(pick: Pick, g: Graph, x: Node, channels: int) -> Node:
    options = _options(channels)
    nodes = [x]
    for j in range(1, 4):
        edges = [pick.op(f"{i}-{j}", nodes[i], options) for i in range(j)]
        nodes.append(g.add(f"node{j}", Sum(), *edges))
    return nodes[3]


def reduction(g: Graph, x: Node, channels: int) -> Node:
    """The basic residual block of stride 2 (He et al. 2016), pooled on its shortcut."""
    with g.scope("reduce"):
        residual = g.add("a", relu_conv_norm(channels, 3, 2), x)
        residual = g.add("b", relu_conv_norm(channels, 3), residual)
        half = Pool("avg", 2, 2, ceil=True)  # odd sizes too; the benchmark's own are even
        shortcut = g.add("shortcut", Sequence("avg, conv 1x1", (half, Conv(channels, 1))), x)
        return g.add("sum", Sum(), shortcut, residual)


def to_string(architecture: Architecture) -> str:
    """The benchmark's own notation, e.g. ``|none~0|+|none~0|none~1|+|...|``."""
    rows = (
        "".join(f"|{architecture[f'{i}-{j}']}~{i}" for i in range(j)) + "|" for j in range(1, 4)
    )
    return "+".join(rows)


def from_string(text: str) -> Architecture:
    """The inverse of :func:`to_string`. Raises :class:`HwnasError` if ``text`` is none."""
    rows = [row.strip("|").split("|") for row in text.split("+")]
    picks = {}
    for j, row in enumerate(rows, start=1):
        for edge in row:
            op, _, i = edge.partition("~")
            picks[f"{i}-{j}"] = op
    expected = [f"{i}-{j}" for j in range(1, 4) for i in range(j)]
    if list(picks) != expected or not set(picks.values()) <= set(_options(1)):
        raise HwnasError(
            f"{text!r} is no NAS-Bench-201 architecture.",
            f"Like |none~0|+|none~0|none~1|+|none~0|none~1|none~2|, of {', '.join(_options(1))}.",
        )
    return Architecture(picks)
