"""Fingerprints: the same for what computes the same, and for nothing else."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwnas.core import HwnasError, TensorType
from hwnas.graph._canonical import Dag, digest
from hwnas.graph.blocks import relu_conv_norm
from hwnas.graph.fingerprint import _key, fingerprint
from hwnas.graph.graph import Graph, Node
from hwnas.graph.op import Op
from hwnas.graph.ops.activation import Activation
from hwnas.graph.ops.batch_norm import BatchNorm
from hwnas.graph.ops.blend import Blend
from hwnas.graph.ops.block import Block
from hwnas.graph.ops.concat import Concat
from hwnas.graph.ops.conv import Conv
from hwnas.graph.ops.drop_path import DropPath
from hwnas.graph.ops.dropout import Dropout
from hwnas.graph.ops.global_pool import GlobalPool
from hwnas.graph.ops.identity import Identity
from hwnas.graph.ops.linear import Linear
from hwnas.graph.ops.pool import Pool
from hwnas.graph.ops.resize import Resize
from hwnas.graph.ops.sequence import Sequence as Block_
from hwnas.graph.ops.slice import Slice
from hwnas.graph.ops.squeeze_excite import SqueezeExcite
from hwnas.graph.ops.stack import Stack
from hwnas.graph.ops.sum import Sum
from hwnas.graph.ops.zero import Zero
from hwnas.space.nas_bench_201 import NasBench201, from_string
from hwnas.space.nn.network import Network, module_name
from hwnas.space.replay import build, relax

IMAGE = TensorType((4, 6, 6))
TINY = NasBench201(TensorType((1, 6, 6)), 3, cells=1, channels=2)
EXCHANGED = (  # one cell, written with its two inner nodes in either order
    "|nor_conv_1x1~0|+|nor_conv_3x3~0|none~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|",
    "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|",
)
POOL = Pool("avg", 3, padding=1)
Make = Callable[[Graph], Node]


# Random networks, written down as steps: an operation and the steps that it reads; 0 is the input.

OPS: dict[str, Op] = {
    "conv": Conv(4, 3),
    "point": Conv(4, 1),
    "pool": POOL,
    "skip": Identity(),
    "none": Zero(),
    "sum": Sum(),
}
Steps = list[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class Opaque(Op):
    """A plug-in's operation that says nothing of itself."""

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def module(self, *inputs: TensorType) -> torch.nn.Module:
        return torch.nn.Identity()


@st.composite
def networks(draw: st.DrawFn) -> Steps:
    steps: Steps = []
    for i in range(draw(st.integers(1, 9))):
        name = draw(st.sampled_from([*OPS, "conv", "sum", "sum"]))
        most = 3 if name == "sum" else 1
        steps.append((name, tuple(draw(st.lists(st.integers(0, i), min_size=1, max_size=most)))))
    return steps


def written(steps: Steps, rng: np.random.Generator | None = None) -> Graph:
    """The network of ``steps``; with ``rng`` in another order, under other names."""
    graph = Graph(IMAGE)
    nodes = {0: graph.input}
    left = list(range(1, len(steps) + 1))
    names = [f"n{i}" for i in left]
    if rng is not None:
        rng.shuffle(names)
    while left:
        ready = [i for i in left if all(j in nodes for j in steps[i - 1][1])]
        i = ready[0] if rng is None else int(rng.choice(ready))
        left.remove(i)
        name, inputs = steps[i - 1]
        if rng is not None:
            inputs = tuple(rng.permutation(inputs))
        nodes[i] = graph.add(names[i - 1], OPS[name], *(nodes[j] for j in inputs))
    return graph.finish(nodes[len(steps)])


def reference(steps: Steps) -> nx.DiGraph:
    """What a network computes: operations, joined as often as one adds the other up."""
    values: list[Counter[int]] = [Counter({0: 1})]
    kinds = {0: "input"}
    reads: dict[int, Counter[int]] = {}
    for i, (name, inputs) in enumerate(steps, start=1):
        given: Counter[int] = sum((values[j] for j in inputs), Counter())
        if name in ("skip", "sum"):
            values.append(given)
        elif name == "none" or not given:
            values.append(Counter())
        else:
            values.append(Counter({i: 1}))
            kinds[i], reads[i] = name, given
    kinds[-1], reads[-1] = "output", values[-1]
    graph = nx.DiGraph()
    for i, kind in kinds.items():
        graph.add_node(i, kind=kind)
    for i, given in reads.items():
        graph.add_edges_from((j, i, {"times": n}) for j, n in given.items())
    return graph.subgraph(nx.ancestors(graph, -1) | {0, -1})


def same_reference(a: Steps, b: Steps) -> bool:
    return nx.is_isomorphic(
        reference(a),
        reference(b),
        node_match=lambda x, y: x["kind"] == y["kind"],
        edge_match=lambda x, y: x["times"] == y["times"],
    )


@given(networks(), st.integers(0, 2**32 - 1))
def test_names_and_order_do_not_matter(steps: Steps, seed: int) -> None:
    other = written(steps, np.random.default_rng(seed))
    assert fingerprint(other) == fingerprint(written(steps))


@given(networks(), st.data())
def test_a_changed_network_is_told_exactly_if_it_is_not_isomorphic(
    steps: Steps, data: st.DataObject
) -> None:
    i = data.draw(st.integers(0, len(steps) - 1))
    name, inputs = steps[i]
    if data.draw(st.booleans()):
        name = data.draw(st.sampled_from([n for n in OPS if n != "sum" or len(inputs) > 1]))
        inputs = inputs if name == "sum" else inputs[:1]
    else:
        place = data.draw(st.integers(0, len(inputs) - 1))
        moved = data.draw(st.integers(0, i))
        inputs = (*inputs[:place], moved, *inputs[place + 1 :])
    changed = [*steps[:i], (name, inputs), *steps[i + 1 :]]
    same = fingerprint(written(steps)) == fingerprint(written(changed))
    assert same == same_reference(steps, changed)


# Pairs: what is the same and what is not.


def conv(g: Graph, name: str, x: Node, op: Op | None = None, weights: str | None = None) -> Node:
    return g.add(name, op or Conv(4, 3), x, weights=weights)


def add(g: Graph, *terms: Node, name: str = "sum") -> Node:
    return g.add(name, Sum(), *terms)


def cat(g: Graph, *parts: Node, name: str = "cat") -> Node:
    return g.add(name, Concat(), *parts)


def parts(g: Graph) -> tuple[Node, Node]:
    """Two values that differ, of as many channels."""
    return conv(g, "a", g.input), conv(g, "b", g.input, Conv(4, 1))


def swapped(*after: Op | Callable[[Graph, Node], Node]) -> tuple[Make, Make]:
    """A concatenation and the reverse, with operations behind it."""

    def make(reverse: bool) -> Make:
        def graph(g: Graph) -> Node:
            a, b = parts(g)
            x = cat(g, b, a) if reverse else cat(g, a, b)
            for i, op in enumerate(after):
                x = g.add(f"after{i}", op, x) if isinstance(op, Op) else op(g, x)
            return x

        return graph

    return make(False), make(True)


def chain(*ops: Op) -> Make:
    def graph(g: Graph) -> Node:
        x = g.input
        for i, op in enumerate(ops):
            x = g.add(f"n{i}", op, x)
        return x

    return graph


def shared_linear(g: Graph, x: Node) -> Node:
    """One set of weights reads the concatenation and another value."""
    first = g.add("w1", Conv(4, 1), x, weights="w")
    other = g.add("w2", Conv(4, 1), g.add("wide", Conv(8, 3), g.input), weights="w")
    return add(g, first, other)


SAME: dict[str, tuple[Make, Make]] = {
    "identity": (chain(Conv(4, 3)), chain(Identity(), Conv(4, 3), Identity())),
    "dropout and drop path": (chain(Conv(4, 3)), chain(Dropout(0.5), Conv(4, 3), DropPath(0.2))),
    "resize to the same size": (chain(Conv(4, 3)), chain(Resize(), Conv(4, 3))),
    "a sum of one": (chain(Conv(4, 3)), chain(Sum(), Conv(4, 3))),
    "blocks taken apart": (
        chain(relu_conv_norm(4, 3)),
        chain(Block_("other", (Activation(), Conv(4, 3))), BatchNorm()),
    ),
    "a zero term": (
        lambda g: add(g, conv(g, "a", g.input), g.add("none", Zero(), g.input)),
        chain(Conv(4, 3)),
    ),
    "made of zeros": (
        lambda g: add(
            g, conv(g, "a", g.input), g.add("b", relu_conv_norm(4, 3), g.add("0", Zero(), g.input))
        ),
        chain(Conv(4, 3)),
    ),
    "a nested sum that has another reader": (
        lambda g: add(
            g, (s := add(g, *parts(g), name="inner")), g.add("c", POOL, s), name="outer"
        ),
        lambda g: add(g, *(ab := parts(g)), g.add("c", POOL, add(g, *ab)), name="outer"),
    ),
    "two sums of the same terms": (
        lambda g: add(
            g,
            conv(g, "c", add(g, *(ab := parts(g)), name="s")),
            conv(g, "d", add(g, *ab[::-1], name="t")),
        ),
        lambda g: add(
            g, conv(g, "c", (s := add(g, *parts(g), name="s"))), conv(g, "d", s), name="t"
        ),
    ),
    "nested concatenations": (
        lambda g: cat(g, cat(g, *(ab := parts(g)), name="inner"), ab[0]),
        lambda g: cat(g, *(ab := parts(g)), ab[0]),
    ),
    "order before a dense convolution": swapped(Conv(4, 3)),
    "order before a linear layer": swapped(
        Activation(), Conv(None, 3, depthwise=True), BatchNorm(), SqueezeExcite(), POOL,
        GlobalPool(), Linear(3),
    ),
}  # fmt: skip

DIFFERENT: dict[str, tuple[Make, Make]] = {
    "two convolutions and one read twice": (
        lambda g: add(g, conv(g, "a", g.input), conv(g, "b", g.input)),
        lambda g: add(g, (a := conv(g, "a", g.input)), a),
    ),
    "the same expression tree": (
        lambda g: add(
            g,
            conv(g, "c", (a := conv(g, "a", g.input))),
            conv(g, "d", a, Conv(4, 1)),
        ),
        lambda g: add(
            g,
            conv(g, "c", conv(g, "a", g.input)),
            conv(g, "d", conv(g, "b", g.input), Conv(4, 1)),
        ),
    ),
    "the same expression tree, deeper": (
        lambda g: add(
            g, conv(g, "c", (a := conv(g, "a", g.input))), conv(g, "d", conv(g, "b", g.input)), a
        ),
        lambda g: add(
            g,
            conv(g, "c", conv(g, "a", g.input)),
            conv(g, "d", conv(g, "b", g.input)),
            conv(g, "e", g.input),
        ),
    ),
    "shared weights": (
        lambda g: conv(g, "b", conv(g, "a", g.input, weights="w"), weights="w"),
        chain(Conv(4, 3), Conv(4, 3)),
    ),
    "other shared weights": (
        lambda g: conv(
            g, "c", conv(g, "b", conv(g, "a", g.input, weights="w"), weights="w"), weights="v"
        ),
        lambda g: conv(
            g, "c", conv(g, "b", conv(g, "a", g.input, weights="w"), weights="v"), weights="w"
        ),
    ),
    "twice and once": (lambda g: add(g, g.input, g.input), lambda g: add(g, g.input)),
    "a kernel": (chain(Conv(4, 3)), chain(Conv(4, 1))),
    "a width": (chain(Conv(4, 3), Conv(4, 3)), chain(Conv(5, 3), Conv(4, 3))),
    "a stride": (chain(Conv(4, 3, 2), Resize(2.0)), chain(Conv(4, 3), Resize(1.0))),
    "zeros through a sigmoid": (
        lambda g: add(g, g.input, g.add("s", Activation("sigmoid"), g.add("0", Zero(), g.input))),
        lambda g: add(g, g.input),
    ),
    "a bias of zeros": (
        lambda g: add(g, g.input, g.add("c", Conv(4, 3, bias=True), g.add("0", Zero(), g.input))),
        lambda g: add(g, g.input),
    ),
    "order of the output": swapped(),
    "order before two readers": swapped(
        lambda g, x: add(
            g, g.add("c", Conv(4, 1), x), g.add("d", Conv(4, 1), g.add("p", Slice(0, 2), x))
        )
    ),
    "order before groups": swapped(Conv(4, 3, groups=2)),
    "order before a multiplier": swapped(Conv(16, 3, depthwise=True), Slice(0, 2)),
    "order before a slice": swapped(Activation(), Slice(0, 2), Conv(4, 1)),
    "order before a sum": swapped(
        lambda g, x: conv(g, "z", add(g, x, g.add("wide", Conv(8, 3), g.input)), Conv(4, 1))
    ),
    "order before shared weights": swapped(shared_linear),
    "the order of inputs": (
        lambda g: conv(g, "z", g.add("mix", Blend(), g.input, *parts(g))),
        lambda g: conv(g, "z", g.add("mix", Blend(), g.input, *parts(g)[::-1])),
    ),
    "zeros of a plug-in": (
        lambda g: add(g, g.input, g.add("o", Opaque(), g.add("0", Zero(), g.input))),
        lambda g: add(g, g.input),
    ),
    "order before what nothing is known of": swapped(Opaque()),
}


def print_of(make: Make, training: bool = False) -> str:
    graph = Graph(IMAGE)
    return fingerprint(graph.finish(make(graph)), training)


@pytest.mark.parametrize("name", SAME)
def test_the_same(name: str) -> None:
    first, second = SAME[name]
    assert print_of(first) == print_of(second)


@pytest.mark.parametrize("name", DIFFERENT)
def test_different(name: str) -> None:
    first, second = DIFFERENT[name]
    assert print_of(first) != print_of(second)


def test_order_of_time_alone_is_told() -> None:
    """A linear layer maps every step alike: it does not undo another order of them."""

    def make(first: int) -> Make:
        def graph(g: Graph) -> Node:
            a, b = (g.add(f"p{i}", GlobalPool(), x) for i, x in enumerate(parts(g)))
            steps = [g.add("s", Stack(), a), g.add("t", Stack(), b)]
            return g.add("l", Linear(2), cat(g, steps[first], steps[1 - first]))

        return graph

    assert print_of(make(0)) != print_of(make(1))


def test_training_tells_dropout_and_auxiliary_outputs() -> None:
    plain, dropped = chain(Conv(4, 3)), chain(Dropout(0.5), Conv(4, 3))
    assert print_of(plain) == print_of(dropped)
    assert print_of(plain, training=True) != print_of(dropped, training=True)
    assert print_of(plain, True) == print_of(chain(Identity(), Conv(4, 3), Dropout(0.0)), True)
    prints = set()
    for weights in ((), (0.4,), (0.3,)):
        g = Graph(IMAGE)
        out = g.add("out", Conv(4, 3), g.input)
        head = g.add("head", Conv(4, 1), g.input)
        g.finish(out, tuple((head, weight) for weight in weights))
        prints.add(fingerprint(g, training=True))
        assert fingerprint(g) == print_of(plain)
    assert len(prints) == 3


def test_every_process_agrees() -> None:
    """Whatever its hash seed; in a new interpreter that need not load torch."""
    code = (
        "from hwnas.core import TensorType\n"
        "from hwnas.graph.fingerprint import fingerprint\n"
        "from hwnas.space.nas_bench_201 import NasBench201, from_string\n"
        "from hwnas.space.replay import build\n"
        "space = NasBench201(TensorType((1, 6, 6)), 3, cells=1, channels=2)\n"
        f"print(fingerprint(build(space, from_string({EXCHANGED[0]!r}))))"
    )
    expected = fingerprint(build(TINY, from_string(EXCHANGED[0])))
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == expected


def test_functions_are_named_not_addressed() -> None:
    key = _key(Block("norm", partial(torch.nn.InstanceNorm2d, affine=True)), IMAGE)
    assert "torch.nn.modules.instancenorm.InstanceNorm2d" in key
    assert "0x" not in key


def test_a_supernet_has_none() -> None:
    graph, _ = relax(NasBench201(TensorType((1, 4, 4)), 3, cells=1, channels=2))
    with pytest.raises(HwnasError, match="supernet"):
        fingerprint(graph)


def test_many_equal_branches_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    g = Graph(IMAGE)
    x = g.input
    for i in range(20):
        with g.scope(f"cell{i}"):
            branches = [conv(g, f"a{j}", x, relu_conv_norm(4, 3)) for j in range(6)]
            branches = [conv(g, f"b{j}", y, relu_conv_norm(4, 3)) for j, y in enumerate(branches)]
            x = add(g, *branches)
    g.finish(x)
    assert len(g) > 250
    digested = 0

    def counted(*parts: bytes) -> bytes:
        nonlocal digested
        digested += 1
        return digest(*parts)

    monkeypatch.setattr("hwnas.graph._canonical.digest", counted)
    fingerprint(g)
    assert len(g) < digested < 20 * len(g)  # all orders of the branches would be 720 ** 20


def test_sums_that_double_are_quick() -> None:
    g = Graph(IMAGE)
    x = g.input
    for i in range(200):
        x = g.add(f"double{i}", Sum(), x, x)
    assert fingerprint(g.finish(x)) != print_of(lambda g: add(g, g.input, g.input))


# The canonical form by itself.

Arcs = Sequence[tuple[int, int]]


def dag(colours: Sequence[int], arcs: Arcs, rng: np.random.Generator | None = None) -> Dag:
    """Arcs go from lower to higher numbers; with ``rng`` in another topological order."""
    graph = nx.DiGraph(arcs)
    graph.add_nodes_from(range(len(colours)))
    rank = np.arange(len(colours)) if rng is None else rng.permutation(len(colours))
    order = list(nx.lexicographical_topological_sort(graph, key=lambda v: rank[v]))
    place = {v: i for i, v in enumerate(order)}
    inputs: list[list[tuple[int, bytes]]] = [[] for _ in order]
    for a, b in arcs:
        inputs[place[b]].append((place[a], b"-"))
    return Dag([digest(b"%d" % colours[v]) for v in order], inputs)


def brute(colours: Sequence[int], arcs: Arcs) -> Any:
    """The least way to write a graph down."""
    n = len(colours)
    return min(
        (tuple(colours[p.index(i)] for i in range(n)), tuple(sorted((p[a], p[b]) for a, b in arcs)))
        for p in itertools.permutations(range(n))
    )


def test_small_graphs_are_told_exactly() -> None:
    pairs = list(itertools.combinations(range(4), 2))
    found: dict[Any, set[bytes]] = {}
    for colours in ((0, 0, 0, 0), (0, 0, 0, 1), (1, 0, 0, 1)):
        for size in range(len(pairs) + 1):
            for arcs in itertools.combinations(pairs, size):
                key = brute(colours, arcs)
                found.setdefault(key, set()).add(dag(colours, arcs).certificate())
    assert all(len(certificates) == 1 for certificates in found.values())
    assert len({c for certificates in found.values() for c in certificates}) == len(found)


def incidence(edges: Sequence[tuple[int, int]], n: int) -> tuple[list[int], list[tuple[int, int]]]:
    """A graph as a DAG: vertices, then edges, each of which reads its two ends."""
    arcs = [(v, n + i) for i, edge in enumerate(edges) for v in edge]
    return [0] * n + [1] * len(edges), arcs


def rook() -> list[tuple[int, int]]:
    """The 4 x 4 rook's graph."""
    squares = list(itertools.product(range(4), repeat=2))
    return [
        (i, j)
        for (i, a), (j, b) in itertools.combinations(enumerate(squares), 2)
        if a[0] == b[0] or a[1] == b[1]
    ]


def shrikhande() -> list[tuple[int, int]]:
    """Its rival of the same parameters, which colour refinement cannot tell from it."""
    squares = list(itertools.product(range(4), repeat=2))
    steps = {(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)}
    return [
        (i, j)
        for (i, a), (j, b) in itertools.combinations(enumerate(squares), 2)
        if ((a[0] - b[0]) % 4, (a[1] - b[1]) % 4) in steps
    ]


HARD = {
    "two triangles": ([(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5)], 6),
    "hexagon": ([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5)], 6),
    "rook": (rook(), 16),
    "shrikhande": (shrikhande(), 16),
    "complete": (list(itertools.combinations(range(7), 2)), 7),
    "frucht": (list(nx.frucht_graph().edges), 12),
    "petersen": (list(nx.petersen_graph().edges), 10),
}


def test_regular_graphs_need_more_than_refinement() -> None:
    rng = np.random.default_rng(0)
    certificates = {}
    for name, (edges, n) in HARD.items():
        colours, arcs = incidence(edges, n)
        certificates[name] = dag(colours, arcs).certificate()
        assert dag(colours, arcs, rng).certificate() == certificates[name]
    assert len(set(certificates.values())) == len(HARD)
    for a, b in (("two triangles", "hexagon"), ("rook", "shrikhande")):
        first, second = (dag(*incidence(*HARD[name])) for name in (a, b))
        assert first.trace == second.trace  # so that the test means something


@pytest.mark.slow
def test_vertices_that_only_a_search_tells_apart() -> None:
    """All that neither the rook's nor Shrikhande's graph joins: one component, two kinds of vertex.

    Telling one vertex apart leaves the same colours for either kind, but other graphs.
    """
    edges = {*rook(), *((16 + a, 16 + b) for a, b in shrikhande())}
    arcs = [
        (a, 32 + b)
        for a, b in itertools.product(range(32), repeat=2)
        if a != b and (a, b) not in edges and (b, a) not in edges
    ]
    colours = [0] * 32 + [1] * 32
    rng = np.random.default_rng(0)
    certificates = {dag(colours, arcs, rng).certificate() for _ in range(4)}
    assert len(certificates) == 1


# On NAS-Bench-201, by numbers.


def cell_string(ops: Sequence[str]) -> str:
    a, b, c, d, e, f = ops
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def outputs(graph: Graph, state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    network = Network(graph).double().eval()
    network.load_state_dict(state)
    with torch.no_grad():
        result = network(x)
    assert isinstance(result, torch.Tensor)
    return result


def assignable(first: Graph, second: Graph) -> bool:
    """Whether the second network can have the first one's weights, edge by edge, and its output.

    The edges of a cell are matched in every way; convolutions left over are of no effect.
    """
    torch.manual_seed(0)
    state = Network(first).double().state_dict()
    for value in state.values():
        if value.dtype.is_floating_point and value.ndim > 1:
            torch.nn.init.normal_(value)
    x = torch.randn(2, 1, 6, 6, dtype=torch.float64)
    expected = outputs(first, state, x)

    def convs(graph: Graph) -> list[tuple[str, Op | None]]:
        cell = "stage0/cell0/"
        return [
            (n.id.removeprefix(cell), n.op)
            for n in graph
            if n.id.startswith(cell) and "nor_conv" in n.id
        ]

    mine, theirs = convs(first), convs(second)
    fresh = Network(second).double().state_dict()
    tried = set()
    spare: list[tuple[str, Op | None] | None] = [None] * len(theirs)
    for match in itertools.permutations([*mine, *spare], len(theirs)):
        pairs = zip(match, theirs, strict=True)
        if match in tried or any(m is not None and m[1] != t[1] for m, t in pairs):
            continue
        tried.add(match)
        given = {k: state.get(k, v) for k, v in fresh.items() if "cell0" not in k}
        rename = {t[0]: m[0] for m, t in zip(match, theirs, strict=True) if m is not None}
        for key, value in fresh.items():
            if "cell0" in key:
                given[key] = value
                for new, old in rename.items():
                    here, there = module_name(new), module_name(old)
                    if f":{here}." in key:
                        given[key] = state[key.replace(f":{here}.", f":{there}.")]
        if torch.allclose(outputs(second, given, x), expected, rtol=1e-9, atol=1e-9):
            return True
    return False


@st.composite
def twins(draw: st.DrawFn) -> tuple[str, str]:
    """Two cells of few convolutions, the second with two nodes exchanged or an edge changed."""
    names = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    ops = draw(st.lists(st.sampled_from(names), min_size=6, max_size=6))
    assume(sum("conv" in op for op in ops) <= 3)
    other = list(ops)
    if draw(st.booleans()):
        other = [ops[1], ops[0], ops[2], ops[3], ops[5], ops[4]]
    else:
        other[draw(st.integers(0, 5))] = draw(st.sampled_from(names))
    assume(sum("conv" in op for op in other) <= 3)
    return cell_string(ops), cell_string(other)


@settings(max_examples=15)
@given(twins())
def test_networks_of_one_fingerprint_can_have_the_same_output(pair: tuple[str, str]) -> None:
    first, second = (build(TINY, from_string(text)) for text in pair)
    if fingerprint(first) == fingerprint(second):
        assert assignable(first, second)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        # conv(x) + conv(x), and one convolution read by two skips
        (
            "|nor_conv_1x1~0|+|none~0|none~1|+|nor_conv_1x1~0|skip_connect~1|none~2|",
            "|nor_conv_1x1~0|+|none~0|skip_connect~1|+|none~0|skip_connect~1|skip_connect~2|",
            False,
        ),
        (*EXCHANGED, True),
        # an edge of zeros, and what is made of them
        (
            "|none~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|none~0|nor_conv_1x1~1|skip_connect~2|",
            "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|avg_pool_3x3~2|",
            True,
        ),
    ],
)
def test_known_pairs(first: str, second: str, same: bool) -> None:
    a, b = (build(TINY, from_string(text)) for text in (first, second))
    assert (fingerprint(a) == fingerprint(b)) == same
    assert assignable(a, b) == same
