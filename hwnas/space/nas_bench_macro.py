"""NAS-Bench-Macro: eight layers, each of three operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.core.architecture import Architecture
from hwnas.core.errors import HwnasError
from hwnas.core.space import Pick, Space
from hwnas.core.tensor_type import TensorType
from hwnas.graph.blocks import conv_norm_relu
from hwnas.graph.classify import classify
from hwnas.graph.graph import Graph, Node
from hwnas.graph.ops.batch_norm import BatchNorm
from hwnas.graph.ops.conv import Conv
from hwnas.graph.ops.identity import Identity
from hwnas.graph.ops.sequence import Sequence
from hwnas.space._mbconv import mbconv

if TYPE_CHECKING:
    from hwnas.core.space import Option

STAGES = (2, 3, 3)
OPERATIONS = ("identity", "mb3_k3", "mb6_k5")


class NasBenchMacro(Space):
    """The layers of NAS-Bench-Macro, as its code has them: 6,561 networks.

    Each stage's first layer halves the image and doubles the ``channels``, those of the stem; the
    identity is a 1x1 convolution with norm there. ``head`` are the channels before the classifier.
    """

    paper = "Su et al. 2021, Prioritized Architecture Sampling with MCT-NAS, arXiv:2103.11922"

    def __init__(
        self, input: TensorType, outputs: int, *, channels: int = 32, head: int = 1280
    ) -> None:
        super().__init__(input, outputs)
        if channels < 1 or head < 1:
            raise HwnasError(
                f"nas_bench_macro: channels ({channels}) and head ({head}) must be at least 1."
            )
        self.channels = channels
        self.head = head

    def graph(self, pick: Pick) -> Graph:
        """Stem, three stages, 1x1 convolution, classifier."""
        g = Graph(self.input)
        x = g.add("stem", conv_norm_relu(self.channels, 3), g.input)
        layer = 0
        for stage, layers in enumerate(STAGES):
            channels = self.channels * 2 ** (stage + 1)
            with g.scope(f"stage{stage}"):
                for first in (True, *[False] * (layers - 1)):
                    x = pick.op(f"layer{layer}", x, _options(x, channels, 2 if first else 1))
                    layer += 1
        x = g.add("head", conv_norm_relu(self.head, 1), x)
        return g.finish(classify(x, self.outputs))

    def parse(self, text: str) -> Architecture:
        """JSON or the benchmark's own notation."""
        return super().parse(text) if text.startswith("{") else from_string(text)

    def count(self) -> float:
        """Every layer has its choice."""
        return float(len(OPERATIONS) ** sum(STAGES))


def _options(x: Node, channels: int, stride: int) -> dict[str, Option]:
    reduce = Sequence("conv 1x1 /2", (Conv(channels, 1, 2), BatchNorm()))
    return {
        "identity": Identity() if stride == 1 else reduce,
        "mb3_k3": mbconv(x, channels, 3, 3, stride, "relu"),
        "mb6_k5": mbconv(x, channels, 5, 6, stride, "relu"),
    }


def to_string(architecture: Architecture) -> str:
    """The benchmark's own notation, a digit a layer, e.g. ``01202112``."""
    taken = (str(architecture[f"layer{layer}"]) for layer in range(sum(STAGES)))
    return "".join(str(OPERATIONS.index(name)) for name in taken)


def from_string(text: str) -> Architecture:
    """The inverse of :func:`to_string`. Raises :class:`HwnasError` if ``text`` is none."""
    if len(text) != sum(STAGES) or not set(text) <= set("012"):
        raise HwnasError(
            f"{text!r} is no NAS-Bench-Macro architecture.", "Eight digits of 0, 1, 2: 01202112."
        )
    return Architecture({f"layer{i}": OPERATIONS[int(digit)] for i, digit in enumerate(text)})
