"""What hypernetworks have in common: from a graph to the parameters of its network."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from hwnas.graph.graph import Graph
from hwnas.space.nn.network import Network


class Hypernetwork(nn.Module, ABC):
    """Generates every parameter of a network from its graph."""

    @abstractmethod
    def forward(self, graph: Graph, network: Network) -> dict[str, Tensor]:
        """The parameters by name, as functions of the hypernetwork's own.

        ``network`` is that of ``graph``; its values may be taken as initial ones.
        """

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Take over the state that another one had."""
        self.load_state_dict(weights)
