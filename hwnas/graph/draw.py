"""A picture of a network as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from math import log

from hwnas.graph._ink import (
    FAINT,
    FONT,
    INK,
    LINE,
    SOFT,
    Picture,
    edge,
    kind,
    leaf,
    moved,
    text,
    wide,
)
from hwnas.graph.graph import Graph, Node
from hwnas.graph.layered import Layout, Link, Point, layered
from hwnas.graph.outline import Block, Edge, outline

_MARGIN, _PAD, _HEAD, _GAP, _GUTTER = 24.0, 16.0, 24.0, 24.0, 40.0
_TALL, _RATIO, _COLUMNS = 1000.0, 1.3, 5  # a picture taller than this is set in columns


def draw(graph: Graph, title: str = "") -> str:
    """A self-contained SVG of ``graph``, top to bottom, scopes framed.

    Equal blocks in a row are drawn once and counted, as in ``cell0 … cell4 × 5``; operations that
    give zeros are faint. Pointing at a box shows the id of its node.
    """
    root, edges = outline(graph)
    body = _page(root, edges)
    head = _MARGIN + (30.0 if title else 0.0)
    width = max(body.width, wide(title, 16)) + 2 * _MARGIN
    height = body.height + head + _MARGIN
    caption = text(width / 2, _MARGIN + 6, title, 16, INK, bold=True) if title else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" font-family="{escape(FONT)}" role="img">'
        f"<title>{escape(title or 'network')}</title>"
        '<rect width="100%" height="100%" fill="#fff" rx="8"/>'
        f"{caption}{moved(body.svg, (width - body.width) / 2, head)}</svg>\n"
    )


def _page(root: Block, edges: list[Edge]) -> Picture:
    """The network in the number of columns that best fills a page, if it is a long one."""
    best = _place(root, edges, 1)
    if best.height < _TALL:
        return best
    cuts = _cuts(root, edges)
    heights = [_place(Block("", [c]), edges, 1).height + _GAP for c in root.children]
    for count in range(2, min(_COLUMNS, len(cuts) + 1) + 1):
        starts = _split(heights, cuts, count)
        ends = [*starts[1:], len(root.children)]
        columns = [
            _place(Block("", root.children[a:b]), edges, 1)
            for a, b in zip(starts, ends, strict=True)
        ]
        page = _side_by_side(columns)
        if _misfit(page) < _misfit(best):
            best = page
    return best


def _misfit(picture: Picture) -> float:
    return abs(log(picture.width / picture.height / _RATIO))


def _cuts(root: Block, edges: list[Edge]) -> list[int]:
    """Before which children one value, used by the next child only, is all that goes on."""
    unit = {
        node.id: i
        for i, child in enumerate(root.children)
        for node in (child.nodes() if isinstance(child, Block) else [child])
    }
    cuts = []
    for k in range(1, len(root.children)):
        across = [(a, unit[b]) for a, b in edges if unit[a] < k <= unit[b]]
        if len({a for a, _ in across}) == 1 and {b for _, b in across} == {k}:
            cuts.append(k)
    return cuts


def _split(heights: list[float], cuts: list[int], count: int) -> list[int]:
    """Where at most ``count`` columns of least height begin."""
    bounds = [0, *cuts, len(heights)]
    parts = [sum(heights[a:b]) for a, b in pairwise(bounds)]
    limit = max(*parts, sum(parts) / count)
    while True:
        starts, filled = [0], 0.0
        for start, part in zip(bounds, parts, strict=False):
            if filled and filled + part > limit:
                starts.append(start)
                filled = 0.0
            filled += part
        if len(starts) <= count:
            return starts
        limit *= 1.02


def _side_by_side(columns: list[Picture]) -> Picture:
    """Columns, the foot of each joined to the head of the next through the gutter."""
    height = max(column.height for column in columns)
    svg, left = "", 0.0
    for i, column in enumerate(columns):
        svg += moved(column.svg, left, 0.0)
        right = left + column.width
        if i + 1 < len(columns):
            after = columns[i + 1]
            x0 = left + column.width / 2 + next(iter(column.leaves.values()))
            x1 = right + _GUTTER + after.width / 2 + next(iter(after.enters.values()))
            x, foot, r = right + _GUTTER / 2, column.height, 10
            svg += (
                f'<path d="M{x0:.1f} {foot:.1f}q0 {r} {r} {r}H{x - r:.1f}q{r} 0 {r} {-r}V0'
                f'q0 {-r} {r} {-r}H{x1 - r:.1f}q{r} 0 {r} {r}" fill="none" stroke="{LINE}"'
                ' stroke-width="1.4"/>'
            )
            right += _GUTTER
        left = right
    return Picture(moved(svg, 0.0, 10.0), left, height + 20.0)


def _place(block: Block, edges: list[Edge], times: int, framed: bool = False) -> Picture:
    """Draw a block's children, then its edges between them and to the ports on its frame."""
    unit = {
        node.id: i
        for i, child in enumerate(block.children)
        for node in (child.nodes() if isinstance(child, Block) else [child])
    }
    ins = list(dict.fromkeys(a for a, b in edges if b in unit and a not in unit))
    outs = list(dict.fromkeys(a for a, b in edges if a in unit and b not in unit))
    pictures = [
        _place(c, edges, times * c.times, framed=True) if isinstance(c, Block) else leaf(c, times)
        for c in block.children
    ]
    first, count = len(ins), len(ins) + len(pictures)
    links: dict[Link, bool] = {}
    for a, b in edges:
        if b in unit and unit.get(a) != unit[b]:
            child = pictures[unit[b]]
            source, leaves = ins.index(a) if a not in unit else first + unit[a], 0.0
            if a in unit:
                leaves = pictures[unit[a]].leaves.get(a, 0.0)
            faint = any(_zero(block.children[unit[n]]) for n in (a, b) if n in unit)
            links[Link(source, first + unit[b], leaves, child.enters.get(a, 0.0))] = faint
    for i, a in enumerate(outs):
        leaves = pictures[unit[a]].leaves.get(a, 0.0)
        links[Link(first + unit[a], count + i, leaves)] = _zero(block.children[unit[a]])
    sizes = [(0.0, 0.0)] * first + [(p.width, p.height) for p in pictures]
    layout = layered(
        sizes + [(0.0, 0.0)] * len(outs), list(links), range(count, count + len(outs)), _GAP
    )
    arrows = [first <= link.target < count and not _framed(block, link, first) for link in links]
    svg = "".join(map(edge, layout.routes, arrows, links.values()))
    for picture, (x, y) in zip(pictures, layout.centres[first:count], strict=True):
        svg += moved(picture.svg, x - picture.width / 2, y - picture.height / 2)
    if framed:
        return _frame(block, svg, layout, ins, outs)
    enters = {a: layout.centres[i][0] - layout.width / 2 for i, a in enumerate(ins)}
    ends = layout.centres[count:]
    leaves = {a: x - layout.width / 2 for a, (x, _) in zip(outs, ends, strict=True)}
    return Picture(svg, layout.width, layout.height, enters, leaves)


def _framed(block: Block, link: Link, first: int) -> bool:
    return isinstance(block.children[link.target - first], Block)


def _zero(child: Block | Node) -> bool:
    return isinstance(child, Node) and kind(child) == "Zero"


def _frame(block: Block, svg: str, layout: Layout, ins: list[str], outs: list[str]) -> Picture:
    name = f"{block.name} … {block.last}" if block.last else block.name
    count = f" × {block.times}" if block.times > 1 else ""
    width = max(layout.width, wide(name + count, 12)) + 2 * _PAD
    height = layout.height + _HEAD
    left = (width - layout.width) / 2
    ports = [layout.centres[i] for i in range(len(ins))]
    ends = layout.centres[len(layout.centres) - len(outs) :]
    dots = "".join(
        f'<circle cx="{left + x:.1f}" cy="{y:.1f}" r="3" fill="{LINE}"/>'
        for y, points in ((0.0, ports), (height, ends))
        for x, _ in points
    )
    stems = "".join(edge([(left + x, 0.0), (left + x, _HEAD)], False, False) for x, _ in ports)
    svg = (
        f'<rect width="{width:.1f}" height="{height:.1f}" rx="10" fill="#f8fafc"'
        f' fill-opacity="0.7" stroke="{FAINT}"/>'
        f"{text(_PAD - 4, 17, name, 12, SOFT, anchor='start')}"
        f"{text(width - _PAD + 4, 17, count.strip(), 13, INK, anchor='end', bold=True)}"
        f"{stems}{moved(svg, left, _HEAD)}{dots}"
    )
    enters = {a: left + x - width / 2 for a, (x, _) in zip(ins, ports, strict=True)}
    leaves = {a: left + x - width / 2 for a, (x, _) in zip(outs, ends, strict=True)}
    return Picture(svg, width, height, enters, leaves)
