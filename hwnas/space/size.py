"""The size space of NATS-Bench: the channels of a fixed network's five stages."""

from __future__ import annotations

from hwnas.core.architecture import Architecture
from hwnas.core.errors import HwnasError
from hwnas.core.space import Pick, Space
from hwnas.core.tensor_type import TensorType
from hwnas.graph.blocks import norm_relu, relu_conv_norm, stem
from hwnas.graph.classify import classify
from hwnas.graph.graph import Graph, Node
from hwnas.graph.ops.batch_norm import BatchNorm
from hwnas.graph.ops.conv import Conv
from hwnas.graph.ops.sequence import Sequence
from hwnas.graph.ops.sum import Sum
from hwnas.space.nas_bench_201 import reduction

STAGES = 5


class Size(Space):
    """Channels of the five stages of NATS-Bench's network (section 3): 32,768 networks.

    Stages 0, 2 and 4 are the best cell of NAS-Bench-201, stages 1 and 3 residual blocks that halve
    the image. Choice ``"stage0"`` has the channels of the first, one of ``channels`` (the
    benchmark's: 8, 16, ..., 64).
    """

    paper = "Dong et al. 2021, NATS-Bench, arXiv:2009.00437"

    def __init__(
        self, input: TensorType, outputs: int, *, channels: list[int] | None = None
    ) -> None:
        super().__init__(input, outputs)
        self.channels = channels or list(range(8, 65, 8))
        if min(self.channels) < 1 or len(set(self.channels)) < len(self.channels):
            raise HwnasError(f"size: channels must differ and be at least 1, got {self.channels}.")

    def graph(self, pick: Pick) -> Graph:
        """Stem, a stage after the other, classifier."""
        g = Graph(self.input)
        x = g.input
        for stage in range(STAGES):
            channels = pick(f"stage{stage}", self.channels)
            if stage == 0:
                x = g.add("stem", stem(channels), x)
            with g.scope(f"stage{stage}"):
                x = reduction(g, x, channels) if stage % 2 else _cell(g, x, channels)
        x = g.add("head", norm_relu(), x)
        return g.finish(classify(x, self.outputs))

    def parse(self, text: str) -> Architecture:
        """JSON or the benchmark's own notation."""
        return super().parse(text) if text.startswith("{") else from_string(text)

    def count(self) -> float:
        """Every stage has its choice."""
        return float(len(self.channels) ** STAGES)


def _cell(g: Graph, x: Node, channels: int) -> Node:
    """Convolutions 3x3 on all edges, but the skip connection from input to output."""
    conv = relu_conv_norm(channels, 3)
    node1 = g.add("0-1", conv, x)
    node2 = g.add("node2", Sum(), g.add("0-2", conv, x), g.add("1-2", conv, node1))
    if x.type.shape[0] != channels:
        x = g.add("0-3", Sequence("conv 1x1", (Conv(channels, 1), BatchNorm())), x)
    return g.add("node3", Sum(), x, g.add("1-3", conv, node1), g.add("2-3", conv, node2))


def to_string(architecture: Architecture) -> str:
    """The benchmark's own notation, e.g. ``8:16:24:32:64``."""
    return ":".join(str(architecture[f"stage{stage}"]) for stage in range(STAGES))


def from_string(text: str) -> Architecture:
    """The inverse of :func:`to_string`. Raises :class:`HwnasError` if ``text`` is none."""
    channels = text.split(":")
    if len(channels) != STAGES or not all(c.isdecimal() and int(c) > 0 for c in channels):
        raise HwnasError(f"{text!r} is no architecture of the size space.", "Like 8:16:24:32:64.")
    return Architecture({f"stage{i}": int(c) for i, c in enumerate(channels)})
