"""The hypernetwork of SMASH."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwnas.estimate.nn.hypernetworks.decoder import unit_variance
from hwnas.estimate.nn.hypernetworks.features import SIZE, features, hashed
from hwnas.estimate.nn.hypernetworks.hypernetwork import Hypernetwork
from hwnas.estimate.nn.hypernetworks.slot import Slot, slots
from hwnas.graph.graph import INPUT, Graph
from hwnas.space.nn.network import Network

_BANKS = 256
_BANK = 8  # channels
_OFFSETS = 64
_LAYERS = 4


class Smash(Hypernetwork):
    """Filters by a convolution over an image of the architecture; the rest is learned by name.

    Brock et al. 2018 see a network as memory banks, which operations read and write. Here the
    values of the graph are the banks: an operation reads those that reach it through operations
    without weights (sums, pools, concatenations), and writes those of the operations that its
    result reaches likewise. A bank is known by the id of its node, the same in all networks of a
    space. The image has a column for every eight channels that a convolution reads, convolutions
    side by side, and a row for every eight that one writes. In its channels stand what is read and
    written (ones at the banks), what the operation is (kernel, stride, dilation, ...), and the
    offsets within input and output. Convolutions over the image, which may so be of any size, put
    out the weights of eight by eight channels for each pixel.

    Filters larger than ``kernel`` (1 in the paper), those of the stem, which reads the input, and
    all that are no filters, such as classifier and norms, are ordinary parameters, made when a name
    is first met in a shape.
    """

    def __init__(self, *, width: int, kernel: int) -> None:
        super().__init__()
        self._kernel = kernel
        self.operation = nn.Linear(SIZE + 2 * _BANKS, width)
        nn.init.normal_(self.operation.weight, std=0.3)
        self.place = nn.Embedding(_OFFSETS, width)
        self.read = nn.Embedding(_OFFSETS, width)
        self.write = nn.Embedding(_OFFSETS, width)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(_LAYERS))
        self.values = nn.Conv2d(width, _BANK * _BANK * kernel * kernel, 1)
        for layer in (*self.layers, self.values):
            unit_variance(layer, self.values)
        self.learned = nn.ParameterDict()

    def forward(self, graph: Graph, network: Network) -> dict[str, Tensor]:
        """The parameters by name; ``network`` gives new ones their initial values."""
        values = dict(network.named_parameters())
        generated, found = [], {}
        for slot in slots(graph, network):
            stem = any(i.id == INPUT for i in slot.owner.inputs)
            if len(slot.shape) == 4 and max(slot.shape[2:]) <= self._kernel and not stem:
                generated.append(slot)
            else:
                found[slot.name] = self._learned(slot, values[slot.name])
        return found | self._generated(graph, generated) if generated else found

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Make the parameters that the other one had met, no others, then take over all."""
        like = self.read.weight
        self.learned = nn.ParameterDict(
            {
                name.removeprefix("learned."): nn.Parameter(values.to(like))
                for name, values in weights.items()
                if name.startswith("learned.")
            }
        )
        super().restore(weights)

    def _learned(self, slot: Slot, initial: Tensor) -> Tensor:
        key = f"{slot.name.replace('.', '|')} {'x'.join(map(str, slot.shape))}"
        if key not in self.learned:
            self.learned[key] = nn.Parameter(initial.detach().clone())
        learned: Tensor = self.learned[key]
        return learned

    def _generated(self, graph: Graph, convs: list[Slot]) -> dict[str, Tensor]:
        """The filters, each cut from the columns of its own."""
        grids = [(-(-slot.shape[0] // _BANK), -(-slot.shape[1] // _BANK)) for slot in convs]
        image = self._image(graph, convs, grids)
        for layer in self.layers:
            image = (image + layer(functional.relu(image))) / 2**0.5  # keeps the variance
        side = self._kernel
        weights = self.values(functional.relu(image))[0]
        weights = weights.unflatten(0, (_BANK, _BANK, side, side))
        found, start = {}, 0
        for slot, (rows, columns) in zip(convs, grids, strict=True):
            out, into, height, width = slot.shape
            y, x = (side - height) // 2, (side - width) // 2
            own = weights[:, :, y : y + height, x : x + width, :rows, start : start + columns]
            own = own.permute(4, 0, 5, 1, 2, 3).flatten(2, 3).flatten(0, 1)
            found[slot.name] = own[:out, :into] * slot.scale
            start += columns
        return found

    def _image(self, graph: Graph, convs: list[Slot], grids: list[tuple[int, int]]) -> Tensor:
        """The encoding, ``[1, width, rows, columns]``, its ones looked up: a 1x1 convolution."""
        like = self.operation.weight
        rows = torch.arange(max(r for r, _ in grids), device=like.device)
        columns = torch.cat([torch.arange(c, device=like.device) for _, c in grids])
        owner = torch.tensor([i for i, (_, c) in enumerate(grids) for _ in range(c)])
        place = torch.tensor([slot.place for slot in convs], device=like.device)
        nodes = [slot.owner for slot in convs]
        given = np.concatenate([features(nodes), *_banks(graph, [n.id for n in nodes])], axis=1)
        codes = self.operation(torch.from_numpy(given).to(like)) + self.place(place % _OFFSETS)
        read = codes[owner.to(like.device)] + self.read(columns % _OFFSETS)
        written = self.write(rows % _OFFSETS)
        image: Tensor = self.norm(written[:, None] + read)
        return image.permute(2, 0, 1)[None]


def _banks(graph: Graph, ids: list[str]) -> list[np.ndarray]:
    """Ones at what each node reads, and at what it writes, ``[ids, _BANKS]`` both."""
    reads: dict[str, set[str]] = {INPUT: {INPUT}}
    for node in graph:
        reads[node.id] = {bank for i in node.inputs for bank in _stored(i.id, graph, reads)}
    writes: dict[str, set[str]] = {id: set() for id in (INPUT, *(node.id for node in graph))}
    writes[graph.output.id].add("output")
    for node in reversed(list(graph)):
        assert node.op is not None
        for before in node.inputs:
            writes[before.id] |= {node.id} if node.op.weighted else writes[node.id]
    return [_ones([sets[id] for id in ids]) for sets in (reads, writes)]


def _stored(id: str, graph: Graph, reads: dict[str, set[str]]) -> set[str]:
    """The banks that a value is made of: its own, or those that it was made from."""
    op = graph[id].op
    return {id} if op is None or op.weighted else reads[id]


def _ones(sets: list[Iterable[str]]) -> np.ndarray:
    found = np.zeros((len(sets), _BANKS))
    for row, names in zip(found, sets, strict=True):
        row[[hashed(name, _BANKS) for name in names]] = 1.0
    return found
