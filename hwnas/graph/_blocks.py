"""Drawing a block: its children in layers, edges between them, a frame around."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwnas.graph._ink import FAINT, INK, LINE, SOFT, Picture, edge, kind, leaf, moved, text, wide
from hwnas.graph.graph import Node
from hwnas.graph.layered import Link, Point, layered
from hwnas.graph.outline import Block, Edge

GAP = 24.0  # between layers
_PAD, _HEAD = 16.0, 24.0  # of a frame, at its sides and its top


@dataclass(frozen=True)
class _Inside:
    """Children placed; the values that enter at the top and leave at the bottom, by node id."""

    svg: str
    width: float
    height: float
    tops: dict[str, Point]
    feet: dict[str, Point]


def units(children: Sequence[Block | Node]) -> dict[str, int]:
    """Which child each node is in, by node id."""
    return {
        node.id: i
        for i, child in enumerate(children)
        for node in (child.nodes() if isinstance(child, Block) else [child])
    }


def paint(child: Block | Node, edges: list[Edge], times: int = 1) -> Picture:
    """A node as a box, a block as a frame around its children."""
    if isinstance(child, Block):
        times *= child.times
        pictures = [paint(c, edges, times) for c in child.children]
        return _frame(child, _arrange(child.children, pictures, edges))
    return leaf(child, times)


def column(
    children: Sequence[Block | Node], pictures: Sequence[Picture], edges: list[Edge]
) -> Picture:
    """Children without a frame."""
    inside = _arrange(children, pictures, edges)
    middle = inside.width / 2
    enters = {a: x - middle for a, (x, _) in inside.tops.items()}
    leaves = {a: x - middle for a, (x, _) in inside.feet.items()}
    return Picture(inside.svg, inside.width, inside.height, enters, leaves)


def _arrange(
    children: Sequence[Block | Node], pictures: Sequence[Picture], edges: list[Edge]
) -> _Inside:
    """Vertices are the values that enter, the children, then the values that leave."""
    unit = units(children)
    ins = list(dict.fromkeys(a for a, b in edges if b in unit and a not in unit))
    outs = list(dict.fromkeys(a for a, b in edges if a in unit and b not in unit))
    first, after = len(ins), len(ins) + len(children)
    faint = {id for id, i in unit.items() if _gives_zeros(children[i])}
    links: dict[Link, bool] = {}
    for a, b in edges:
        if b not in unit or unit.get(a) == unit[b]:
            continue
        enters = pictures[unit[b]].enters.get(a, 0.0)
        if a in unit:
            leaves = pictures[unit[a]].leaves.get(a, 0.0)
            link = Link(first + unit[a], first + unit[b], leaves, enters)
        else:
            link = Link(ins.index(a), first + unit[b], 0.0, enters)
        links[link] = a in faint or b in faint
    for i, a in enumerate(outs):
        leaves = pictures[unit[a]].leaves.get(a, 0.0)
        links[Link(first + unit[a], after + i, leaves)] = a in faint
    points = [(0.0, 0.0)]
    sizes = points * first + [(p.width, p.height) for p in pictures] + points * len(outs)
    layout = layered(sizes, list(links), range(after, after + len(outs)), GAP)
    svg = ""
    for (link, pale), route in zip(links.items(), layout.routes, strict=True):
        at = link.target - first
        svg += edge(route, at < len(children) and isinstance(children[at], Node), pale)
    for picture, (x, y) in zip(pictures, layout.centres[first:after], strict=True):
        svg += moved(picture.svg, x - picture.width / 2, y - picture.height / 2)
    tops = dict(zip(ins, layout.centres[:first], strict=True))
    feet = dict(zip(outs, layout.centres[after:], strict=True))
    return _Inside(svg, layout.width, layout.height, tops, feet)


def _gives_zeros(child: Block | Node) -> bool:
    return isinstance(child, Node) and kind(child) == "Zero"


def _frame(block: Block, inside: _Inside) -> Picture:
    name = f"{block.name} … {block.last}" if block.last else block.name
    count = f"× {block.times}" if block.times > 1 else ""
    width = max(inside.width, wide(f"{name} {count}", 12)) + 2 * _PAD
    height = inside.height + _HEAD
    left = (width - inside.width) / 2
    tops = {a: left + x for a, (x, _) in inside.tops.items()}
    feet = {a: left + x for a, (x, _) in inside.feet.items()}
    stems = "".join(edge([(x, 0.0), (x, _HEAD)]) for x in tops.values())
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{LINE}"/>'
        for y, ports in ((0.0, tops), (height, feet))
        for x in ports.values()
    )
    svg = (
        f'<rect width="{width:.1f}" height="{height:.1f}" rx="10" fill="#f8fafc"'
        f' fill-opacity="0.7" stroke="{FAINT}"/>{stems}'
        f"{text(_PAD - 4, 17, name, 12, SOFT, 'start')}"
        f"{text(width - _PAD + 4, 17, count, 13, INK, 'end', 600)}"
        f"{moved(inside.svg, left, _HEAD)}{dots}"
    )
    enters = {a: x - width / 2 for a, x in tops.items()}
    leaves = {a: x - width / 2 for a, x in feet.items()}
    return Picture(svg, width, height, enters, leaves)
