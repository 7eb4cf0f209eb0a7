"""All networks of a space in one, sharing weights."""

from collections.abc import Hashable, Iterable, Mapping
from functools import reduce

from torch import Tensor, nn

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice
from hwnas.core.errors import HwnasError
from hwnas.core.mixture import Mixture
from hwnas.core.space import Space
from hwnas.graph.graph import INPUT, Node
from hwnas.graph.op import Op
from hwnas.graph.ops.activation import Activation
from hwnas.graph.ops.mix import Mix
from hwnas.graph.ops.sequence import Sequence
from hwnas.graph.ops.sum import Sum
from hwnas.graph.ops.zero import Zero
from hwnas.space.nn.network import module_name, node_module
from hwnas.space.nn.weighted_sum import weighted_sum
from hwnas.space.replay import relax

Active = Mapping[str, tuple[int, ...]]
Weights = Mapping[str, Tensor]
Gates = Iterable[tuple[Choice, int]]
_Step = tuple[Node, tuple[int, ...], tuple[str, ...], str, tuple[str, ...]]
"""A node, the places of its inputs that are read and the names of these values, the name of what it
begins with if that may be shared, and the values that nobody reads after it."""


class Supernet(nn.Module):
    """Every option of every choice; a mixture weighs them, and only active ones are computed.

    With the one-hot mixture of an architecture it computes what the stand-alone network with the
    same weights does. What has no weights of its own, such as the pooling of one input on several
    edges, is computed once. Raises :class:`HwnasError` if the space cannot be relaxed.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.graph, self.choices = relax(space)
        self.ops = nn.ModuleDict(
            {
                module_name(n.weights): node_module(n)
                for n in self.graph.owners()
                if not isinstance(n.op, Mix)
            }
        )
        self._first = self._united()
        self._plans: dict[tuple[tuple[int, ...], ...], list[_Step]] = {}

    def _united(self) -> dict[str, str]:
        """The first node of the same value, by node; their module becomes one, statistics too."""
        first = {INPUT: INPUT}
        met: dict[Hashable, Node] = {}
        for node in self.graph:
            first[node.id] = node.id
            if _plain(node.op):
                same = met.setdefault((node.op, *(first[i.id] for i in node.inputs)), node)
                first[node.id] = same.id
                self.ops[module_name(node.weights)] = self.ops[module_name(same.weights)]
        return first

    def active(self, point: Architecture | Mixture) -> dict[str, tuple[int, ...]]:
        """The options to compute, by choice: those of weight, or those that a mixture names."""
        named = point.active if isinstance(point, Mixture) else {}
        result = {}
        for name, choice in self.choices.items():
            every = (
                range(len(choice.options))
                if isinstance(point, Mixture)
                else (i for i, w in enumerate(point.weights(choice)) if w)
            )
            result[name] = named.get(name, tuple(every))
        return result

    def forward(self, x: Tensor, weights: Mapping[str, Tensor] | None, active: Active) -> Tensor:
        """The output for a batch, options weighted by ``weights`` (choice -> ``[n_options]``).

        None: every active option counts as it is. Raises :class:`HwnasError` if a choice has none.
        """
        values = {INPUT: x}
        del x
        for node, taken, read, begun, dead in self._plan(active):
            inputs = [values[id] for id in read]
            if isinstance(node.op, Mix):
                values[node.id] = _mixed(inputs, taken, weights, node.op.choice)
            elif isinstance(node.op, Sum):
                gates = [node.inputs[i].gates for i in taken]
                values[node.id] = _summed(inputs, gates, weights)
            else:
                values[node.id] = self._applied(node, begun, inputs, values)
            del inputs
            for id in dead:
                del values[id]
        return values[self.graph.output.id]

    def _applied(
        self, node: Node, begun: str, inputs: list[Tensor], values: dict[str, Tensor]
    ) -> Tensor:
        """Its result; what it begins with is done once for all that begin so on the same input."""
        module = self.ops[module_name(node.weights)]
        if not begun:
            result: Tensor = module(*inputs)
            return result
        first, *rest = module.children()
        if begun not in values:
            values[begun] = first(*inputs)
        return reduce(lambda x, part: part(x), rest, values[begun])

    def _plan(self, active: Active) -> list[_Step]:
        """The nodes that active options need, in topological order."""
        key = tuple(active[name] for name in self.choices)
        if key not in self._plans:
            needed = {self.graph.output.id}
            steps: list[tuple[Node, tuple[int, ...], tuple[str, ...]]] = []
            for node in reversed(list(self.graph)):
                if node.id in needed:
                    taken = tuple(_taken(node, active))
                    read = tuple(self._first[node.inputs[i].id] for i in taken)
                    needed.update(read)
                    steps.append((node, taken, read))
            if len(self._plans) > 1000:  # sampled paths differ at every step
                self._plans.clear()
            self._plans[key] = _freeing(steps[::-1], self.graph.output.id)
        return self._plans[key]


def _plain(op: Op | None) -> bool:
    """Whether it does the same to the same input, wherever it is; sums have gates."""
    if op is None or isinstance(op, Sum):
        return False
    return not any(part.weighted or part.random for part in op.parts())


def _taken(node: Node, active: Active) -> Iterable[int]:
    """The places of the inputs that are computed. Of a sum or a mix not those that are zero."""
    if isinstance(node.op, Mix):
        found = list(active[node.op.choice.name])
        if not found:
            name = node.op.choice.name
            raise HwnasError(f"nothing is taken for choice {name!r} of the supernet.")
    elif isinstance(node.op, Sum):
        found = [i for i, x in enumerate(node.inputs) if _open(x, active)]
    else:
        return range(len(node.inputs))
    return [i for i in found if not _zero(node.inputs[i].op)] or found[:1]


def _open(node: Node, active: Active) -> bool:
    return all(i in active[choice.name] for choice, i in node.gates)


def _zero(op: Op | None) -> bool:
    """Whether it is zero whatever comes in."""
    return isinstance(op, Zero) or (isinstance(op, Sequence) and _zero(op.ops[-1]))


def _freeing(
    steps: list[tuple[Node, tuple[int, ...], tuple[str, ...]]], output: str
) -> list[_Step]:
    """Each step with the values that nobody reads after it."""
    begun = [_begun(node.op, read) for node, _, read in steps]
    used = [
        dict.fromkeys([*step[2], *filter(None, [name])])
        for step, name in zip(steps, begun, strict=True)
    ]
    last = {id: i for i, ids in enumerate(used) for id in ids}
    return [
        (*step, begun[i], tuple(id for id in used[i] if last[id] == i and id != output))
        for i, step in enumerate(steps)
    ]


def _begun(op: Op | None, read: tuple[str, ...]) -> str:
    """The name of the input behind the activation that it begins with, if it does."""
    if not isinstance(op, Sequence) or not isinstance(op.ops[0], Activation):
        return ""
    return f"{op.ops[0]!r} of {read[0]}"


def _mixed(
    terms: list[Tensor], taken: tuple[int, ...], weights: Weights | None, choice: Choice
) -> Tensor:
    if weights is None:
        return sum(terms[1:], start=terms[0])
    return weighted_sum(weights[choice.name], taken, terms)


def _summed(terms: list[Tensor], gates: Iterable[Gates], weights: Weights | None) -> Tensor:
    if weights is not None:
        for i, gate in enumerate(gates):
            for choice, option in gate:
                terms[i] = terms[i] * weights[choice.name][option]
    return sum(terms[1:], start=terms[0])
