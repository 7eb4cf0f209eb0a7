"""What a picture of a network shows: its nodes in nested blocks, repeats drawn once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from hwnas.graph.graph import Graph, Node

Edge = tuple[str, str]


@dataclass
class Block:
    """A scope: nodes and inner blocks in topological order, standing for ``times`` like it."""

    name: str
    children: list[Block | Node] = field(default_factory=list)
    times: int = 1
    last: str = ""

    def nodes(self) -> Iterator[Node]:
        """Every node inside, at any depth."""
        for child in self.children:
            if isinstance(child, Block):
                yield from child.nodes()
            else:
                yield child


def outline(graph: Graph, depth: int = 2) -> tuple[Block, list[Edge]]:
    """The blocks of a graph, nested at most ``depth`` deep, and the edges between shown nodes.

    A run of sibling blocks that each feed the next and have the same structure is shown by its
    first. Edges are pairs of node ids, each once.
    """
    nodes = [graph.input, *graph]
    edges = [(source.id, node.id) for node in nodes for source in node.inputs]
    root = _nest("", nodes, 0, depth, edges)
    stands: dict[str, str] = {}
    inner: set[Edge] = set()
    _merge(root, set(edges), stands, inner)
    root.children = [unwrapped for child in root.children for unwrapped in _unwrap(child)]

    def shown(id: str) -> str:
        while id in stands:
            id = stands[id]
        return id

    kept = ((shown(a), shown(b)) for a, b in edges if (a, b) not in inner)
    return root, list(dict.fromkeys(kept))


def _nest(prefix: str, nodes: list[Node], level: int, depth: int, edges: list[Edge]) -> Block:
    block = Block(prefix.rstrip("/").rpartition("/")[2])
    scopes: dict[str, list[Node]] = {}
    for node in nodes:
        scope, slash, _ = node.id[len(prefix) :].partition("/")
        scopes.setdefault(scope + slash if level < depth else node.id, []).append(node)
    whole = {name for name, inside in scopes.items() if name.endswith("/") and len(inside) > 1}
    while True:  # a scope that is left and entered again is no block: show its nodes loose
        unit = {
            n.id: name if name in whole else n.id for name, inside in scopes.items() for n in inside
        }
        sorter: TopologicalSorter[str] = TopologicalSorter({unit[n.id]: () for n in nodes})
        for a, b in edges:
            if a in unit and b in unit and unit[a] != unit[b]:
                sorter.add(unit[b], unit[a])
        try:
            sorter.prepare()
        except CycleError as error:
            whole -= set(error.args[1])
        else:
            break
    done: set[str] = set()
    for node in nodes:
        name = unit[node.id]
        if name not in whole:
            block.children.append(node)
        elif name not in done:
            done.add(name)
            block.children.append(_nest(prefix + name, scopes[name], level + 1, depth, edges))
    return block


def _merge(block: Block, edges: set[Edge], stands: dict[str, str], inner: set[Edge]) -> None:
    """Let the first of each run of equal blocks stand for the rest, innermost blocks first."""
    for child in block.children:
        if isinstance(child, Block):
            _merge(child, edges, stands, inner)
    kept: list[Block | Node] = []
    before: list[Node] = []  # the block before, in full
    run: set[str] = set()
    for child in block.children:
        first = kept[-1] if kept else None
        if isinstance(child, Block) and isinstance(first, Block) and before:
            own = list(child.nodes())
            ids = {n.id for n in own}
            links = [(a, b) for a, b in edges if a in run and b in ids]
            fed = any(a == n.id for a, _ in links for n in before)
            if fed and _like(first, child):
                stands.update((n.id, f.id) for n, f in zip(own, first.nodes(), strict=True))
                inner.update(links)
                run |= ids
                first.times += 1
                first.last = child.name
                before = own
                continue
        kept.append(child)
        before = list(child.nodes()) if isinstance(child, Block) else []
        run = {n.id for n in before}
    block.children = kept


def _unwrap(child: Block | Node) -> list[Block | Node]:
    """The blocks of a block of nothing but blocks, under their full names; others as they are."""
    if not isinstance(child, Block) or child.times > 1:
        return [child]
    blocks = [block for block in child.children if isinstance(block, Block)]
    if len(blocks) < len(child.children):
        return [child]
    for block in blocks:
        block.name = f"{child.name}/{block.name}"
    return list(blocks)


def _like(a: Block, b: Block) -> bool:
    """Whether two blocks have the same structure, types included, and the same kind of name."""
    if re.sub(r"\d+", "", a.name) != re.sub(r"\d+", "", b.name):
        return False
    return _structure(a) == _structure(b)


def _structure(block: Block) -> list[object]:
    order: dict[str, int] = {}
    rows: list[object] = []
    for node in block.nodes():
        # Numbered as met, so what comes from outside is told apart but not named.
        inputs = [order.setdefault(i.id, len(order)) for i in node.inputs]
        types = [i.type for i in node.inputs]
        rows.append((node.op, node.type, inputs, types, order.setdefault(node.id, len(order))))
    shape = [
        (len(list(c.nodes())), c.times) if isinstance(c, Block) else None for c in block.children
    ]
    return [*rows, shape]
