"""The graph hypernetwork."""

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor, nn

from hwnas.estimate.nn.hypernetworks.decoder import FilterDecoder, VectorDecoder, as_filters
from hwnas.estimate.nn.hypernetworks.features import SIZE, features
from hwnas.estimate.nn.hypernetworks.hypernetwork import Hypernetwork
from hwnas.estimate.nn.hypernetworks.propagation import Propagation
from hwnas.estimate.nn.hypernetworks.slot import Slot, slots
from hwnas.graph.graph import Graph
from hwnas.space.nn.network import Network

_PLACES = 64
"""Parameters of one node that are told apart."""


class Ghn(Hypernetwork):
    """States of nodes by a gated graph network, and a decoder for each kind of parameter.

    A node starts from what its operation and the shape of its result are, hears of the others
    along the edges, and its state, with the number of the parameter within the node, is decoded:
    filters, matrices, scales (1-d weights), shifts (biases), and numbers of other names, each by a
    decoder of their own. Weights are tiled and cropped to their shape. With ``normalise`` they are
    scaled by fan-in, and scales and shifts are bounded (Knyazev et al. 2021, section 4.3). Nodes
    that share weights have the mean of their states.
    """

    def __init__(
        self,
        *,
        width: int,
        rounds: int,
        sequential: bool,
        reach: int,
        normalise: bool,
        channels: int,
    ) -> None:
        super().__init__()
        self._normalise = normalise
        self.operation = nn.Linear(SIZE, width)
        nn.init.normal_(self.operation.weight, std=0.3)
        self.propagation = Propagation(width, rounds, sequential, reach)
        self.place = nn.Embedding(_PLACES, width)
        self.norm = nn.LayerNorm(width)
        self.filters = FilterDecoder(width, channels)
        self.matrices = FilterDecoder(width, channels, kernel=1)
        self.vectors = nn.ModuleDict(
            {kind: VectorDecoder(width, channels) for kind in ("weight", "bias", "other")}
        )

    def forward(self, graph: Graph, network: Network) -> dict[str, Tensor]:
        """The parameters by name; those of one kind and shape are decoded together."""
        wanted = slots(graph, network)
        z = self._states(graph, wanted)
        groups: dict[tuple[str, torch.Size], list[int]] = defaultdict(list)
        for i, slot in enumerate(wanted):
            groups[_kind(slot), slot.shape].append(i)
        found = {}
        for (kind, shape), rows in groups.items():
            for i, values in zip(rows, self._decode(kind, z[rows], shape), strict=True):
                slot = wanted[i]
                scaled = self._normalise and len(shape) > 1
                found[slot.name] = values * slot.scale if scaled else values
        return found

    def _states(self, graph: Graph, wanted: list[Slot]) -> Tensor:
        """What is known of each parameter and its place in the graph, ``[wanted, width]``."""
        nodes = [graph.input, *graph]
        weight = self.operation.weight
        given = torch.from_numpy(features(nodes)).to(weight)
        states = self.propagation(self.operation(given), graph)
        sharing = defaultdict(list)
        for i, node in enumerate(nodes):
            sharing[node.weights].append(i)
        share = np.zeros((len(wanted), len(nodes)))
        for row, slot in zip(share, wanted, strict=True):
            users = sharing[slot.owner.weights]
            row[users] = 1 / len(users)
        places = torch.tensor([min(slot.place, _PLACES - 1) for slot in wanted])
        place = self.place(places.to(weight.device))
        known: Tensor = self.norm(torch.from_numpy(share).to(weight) @ states + place)
        return known

    def _decode(self, kind: str, z: Tensor, shape: torch.Size) -> Tensor:
        """Values ``[n, *shape]``."""
        if len(shape) > 1:
            decoder = self.filters if kind == "filters" else self.matrices
            weights: Tensor = decoder(z, as_filters(shape))
            return weights.reshape(-1, *shape)
        values: Tensor = self.vectors[kind](z, shape.numel())
        if self._normalise:
            values = _bounded(kind, values)
        return values.reshape(-1, *shape)


def _bounded(kind: str, values: Tensor) -> Tensor:
    """Scales around 1, shifts around 0, and the others, such as the share of a skip, in 0 to 1."""
    if kind == "weight":
        return 2 * torch.sigmoid(0.5 * values)
    return torch.tanh(0.2 * values) if kind == "bias" else torch.sigmoid(values)


def _kind(slot: Slot) -> str:
    if len(slot.shape) > 1:
        return "filters" if len(slot.shape) > 2 else "matrices"
    name = slot.name.rpartition(".")[2]
    return name if name in ("weight", "bias") else "other"
