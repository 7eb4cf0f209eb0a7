"""Floating-point operations."""

from hwnas.core.metric import Metric
from hwnas.core.tensor_type import TensorType
from hwnas.graph.op import Op
from hwnas.profile.additive import Additive
from hwnas.profile.cost import cost


class Flops(Additive):
    """Operations of one forward pass on one example, as fvcore counts them.

    A multiply-add counts as one; batch norm and global average pooling are included.
    """

    metrics = (Metric("flops", cheap=True),)

    def cost(self, op: Op, *inputs: TensorType) -> float:
        """fvcore's count for the operator."""
        return cost(op, *inputs).flops
