"""What is to be generated for a network."""

from dataclasses import dataclass

import torch
from torch import nn

from hwnas.graph.graph import Graph, Node
from hwnas.space.nn.network import Network, module_name


@dataclass(frozen=True)
class Slot:
    """A parameter to be generated: its ``name`` in the network and its shape.

    It is number ``place`` of the parameters of ``owner``, the first node that uses it, and belongs
    to the module ``holder``.
    """

    name: str
    owner: Node
    place: int
    shape: torch.Size
    holder: nn.Module

    @property
    def scale(self) -> float:
        """Of a weight of unit variance that keeps the variance of what it is applied to.

        By fan-in, times two where a ReLU is to be expected beside dense filters (Knyazev et al.
        2021, section 4.3); a looked-up row is not summed over and stays as it is.
        """
        if isinstance(self.holder, nn.Embedding):
            return 1.0
        summed = self.shape[1:].numel()
        if isinstance(self.holder, nn.ConvTranspose2d):
            summed = self.shape[0] // self.holder.groups * self.shape[2:].numel()
        gain = 2.0 if len(self.shape) > 2 and self.shape[1] > 1 else 1.0
        return float((gain / summed) ** 0.5)


def slots(graph: Graph, network: Network) -> list[Slot]:
    """The parameters of a network, in topological order of the nodes that own them."""
    found = []
    for node in graph.owners():
        name = module_name(node.weights)
        module = network.ops[name]
        for place, (part, parameter) in enumerate(module.named_parameters()):
            holder = module.get_submodule(part.rpartition(".")[0])
            found.append(Slot(f"ops.{name}.{part}", node, place, parameter.shape, holder))
    return found
