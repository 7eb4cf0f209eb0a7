"""A stand-alone network."""

from torch import Tensor, nn

from hwnas.graph.graph import INPUT, Graph, Node


def module_name(id: str) -> str:
    """The name under which a node's module is kept; the same in a network and its supernet."""
    name = id.replace("/", ":").replace(".", ",")  # dots and slashes mean levels to some tools
    return f"{name}_" if hasattr(nn.ModuleDict, name) else name


def node_module(node: Node) -> nn.Module:
    """A new module for a node."""
    assert node.op is not None
    return node.op.module(*(i.type for i in node.inputs))


class Network(nn.Module):
    """Runs a graph in topological order and lets go of a value after its last reader.

    Parameters are named by node ids, so weights pass between a network, its supernet and its
    mutants by name. Input ``[batch, *input.shape]``.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.ops = nn.ModuleDict({module_name(n.id): node_module(n) for n in graph})
        self._output = graph.output.id
        last = {i.id: node.id for node in graph for i in node.inputs}
        self._plan = []
        for node in graph:
            inputs = tuple(i.id for i in node.inputs)
            dead = tuple(i for i in dict.fromkeys(inputs) if last[i] == node.id)
            self._plan.append((module_name(node.id), inputs, node.id, dead))

    def forward(self, x: Tensor) -> Tensor:
        """The graph's output for a batch."""
        values = {INPUT: x}
        del x
        for name, inputs, id, dead in self._plan:
            values[id] = self.ops[name](*[values[i] for i in inputs])
            for i in dead:
                del values[i]
        return values[self._output]
