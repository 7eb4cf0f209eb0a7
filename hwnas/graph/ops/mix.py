"""The weighted sum that relaxes a choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnas.core.choice import Choice
from hwnas.core.errors import HwnasError
from hwnas.core.tensor_type import TensorType
from hwnas.graph.op import Op

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Mix(Op):
    """The options of a choice, each an input, weighted by a mixture. Only a supernet has it."""

    choice: Choice

    def infer(self, *inputs: TensorType) -> TensorType:
        """The type that all options share."""
        if len(set(inputs)) != 1:
            results = ", ".join(map("{}: {}".format, self.choice.options, inputs))
            raise HwnasError(
                f"choice {self.choice.name!r} cannot be relaxed: its options differ in type"
                f" ({results}).",
                "A supernet adds them up, so they must agree.",
            )
        return inputs[0]

    def module(self, *inputs: TensorType) -> nn.Module:
        """There is none: the weights are not its own."""
        raise HwnasError(f"the mixed choice {self.choice.name!r} runs in a supernet only.")

    @property
    def label(self) -> str:
        """``mix``."""
        return "mix"
