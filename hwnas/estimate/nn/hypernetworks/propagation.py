"""A gated graph network over the nodes of a graph."""

import numpy as np
import torch
from torch import Tensor, nn

from hwnas.graph.graph import INPUT, Graph


def _perceptron(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))


class Propagation(nn.Module):
    """Lets nodes learn of each other: a node's state is updated, by a GRU, with messages.

    A round goes along the edges and back. Sequentially, a node hears of the new states of those
    before it, as in a forward and a backward pass; or else all nodes are updated at once (Zhang et
    al. 2019, section 3.2, "forward-backward" and "synchronous"). A node also hears, by messages of
    another kind divided by their distance, of those up to ``reach`` edges away (Knyazev et al.
    2021, equation 4).
    """

    def __init__(self, width: int, rounds: int, sequential: bool, reach: int) -> None:
        super().__init__()
        self._rounds = rounds
        self._sequential = sequential
        self._reach = reach
        self.near = _perceptron(width)
        self.far = _perceptron(width) if reach > 1 else None
        self.gru = nn.GRUCell(width, width)

    def forward(self, states: Tensor, graph: Graph) -> Tensor:
        """States ``[1 + nodes, width]`` of the graph's input and its nodes, in their order."""
        apart = _distances(graph)
        levels = _levels(apart)
        # Nodes of one level, of the same longest path from the input, do not depend on each
        # other; updating them together is updating one after another in topological order.
        order = np.argsort(levels, kind="stable")
        sizes = np.bincount(levels).tolist() if self._sequential else [len(order)]
        apart = apart[np.ix_(order, order)]
        edges = [states.new_tensor(apart == 1)]
        if self.far is not None:
            there = (apart > 1) & (apart <= self._reach)
            edges.append(states.new_tensor(np.where(there, 1 / np.maximum(apart, 1), 0.0)))
        back = [e.T.flip(0, 1) for e in edges]
        states = states[torch.from_numpy(order)]
        for _ in range(self._rounds):
            states = self._sweep(states, edges, sizes)
            states = self._sweep(states.flip(0), back, sizes[::-1]).flip(0)
        return states[torch.from_numpy(np.argsort(order))]

    def _sweep(self, states: Tensor, edges: list[Tensor], sizes: list[int]) -> Tensor:
        """Update groups of nodes of the ``sizes`` in turn, each with messages of those before."""
        if len(sizes) == 1:
            return self._update(states, edges, self._messages(states))
        new: list[Tensor] = []
        sent = self._messages(states[:0])
        done = 0
        for group in states.split(sizes):
            heard = [e[done : done + len(group), :done] for e in edges]
            new.append(self._update(group, heard, sent))
            sent = [torch.cat(both) for both in zip(sent, self._messages(new[-1]), strict=True)]
            done += len(group)
        return torch.cat(new)

    def _messages(self, states: Tensor) -> list[Tensor]:
        return [f(states) for f in (self.near, self.far) if f is not None]

    def _update(self, states: Tensor, edges: list[Tensor], sent: list[Tensor]) -> Tensor:
        heard = edges[0] @ sent[0]
        for e, s in zip(edges[1:], sent[1:], strict=True):
            heard = heard + e @ s
        updated: Tensor = self.gru(heard, states)
        return updated


def _distances(graph: Graph) -> np.ndarray:
    """Edges on the shortest path to a node (row) from another (column); infinite without one."""
    index = {INPUT: 0} | {node.id: i for i, node in enumerate(graph, 1)}
    apart = np.full((len(index), len(index)), np.inf)
    np.fill_diagonal(apart, 0)
    for node in graph:
        own = apart[index[node.id]]
        for before in node.inputs:
            np.minimum(own, apart[index[before.id]] + 1, out=own)
    return apart


def _levels(apart: np.ndarray) -> np.ndarray:
    """The length of the longest path that leads to each node; rows in topological order."""
    levels = np.zeros(len(apart), int)
    for row, near in enumerate(apart == 1):
        if near.any():
            levels[row] = levels[near].max() + 1
    return levels
