"""Tables that benchmarks write into the documentation."""

from collections.abc import Sequence
from pathlib import Path

from _nas_bench_201 import ROOT


def fill(page: str, mark: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table between ``<!-- mark -->`` and ``<!-- end of mark -->`` of a page."""
    path: Path = ROOT / page
    lines = [head, ["---"] * len(head), *rows]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
    before, rest = path.read_text().split(begin)
    path.write_text(before + begin + table + end + rest.split(end)[1])
