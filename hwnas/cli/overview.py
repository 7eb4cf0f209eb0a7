"""What ``hwnas space`` says of a search space."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_BARS = " ▁▂▃▄▅▆▇█"
_ROWS = 3  # of choices of one kind that have different options


def overview(folder: Path) -> None:
    """Print size, choices and the range of costs, and say where the picture is."""
    from hwnas.core.files import read_json

    data = read_json(folder / "space.json")
    console = Console(highlight=False)
    size = f"{data['networks']} networks, {len(data['choices'])} choices"
    console.print(f"\n[bold]Size[/]     {size}")
    console.print(_choices(data["choices"]))
    console.print(f"\n[bold]Costs[/]    of {data['samples']} random networks")
    console.print(_costs(data["costs"]))
    console.print(f"\n[bold]Picture[/]  {folder / 'network.svg'}", soft_wrap=True)


def _plain() -> Table:
    return Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))


def _choices(choices: list[dict[str, Any]]) -> Table:
    """A row for choices alike: their names differ in numbers only, their options in extent."""
    kinds: dict[str, list[list[dict[str, Any]]]] = {}
    for choice in choices:
        groups = kinds.setdefault(re.sub(r"\d+", "#", choice["name"]), [])
        fitting = (group for group in groups if _akin(group[0], choice))
        group = next(fitting, None) or (groups[-1] if len(groups) == _ROWS else [])
        group.append(choice)
        if len(group) == 1:
            groups.append(group)
    table = _plain()
    table.add_column("choice", style="cyan", overflow="fold", max_width=30)
    table.add_column("times", justify="right")
    table.add_column("options", overflow="fold")
    for group in (group for groups in kinds.values() for group in groups):
        widest = max(group, key=lambda c: len(c["options"]))
        taken = "" if widest["k"] is None else f"{widest['k']} of "
        name = _common([choice["name"] for choice in group])
        table.add_row(name, str(len(group)), taken + _options(widest["options"]))
    return table


def _akin(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether most options of the one with fewer are options of the other."""
    first, second = set(a["options"]), set(b["options"])
    return 2 * len(first & second) >= min(len(first), len(second))


def _common(names: list[str]) -> str:
    """Their name, with # where their numbers differ."""
    parts = zip(*(re.split(r"(\d+)", name) for name in names), strict=True)
    return "".join(part[0] if len(set(part)) == 1 else "#" for part in parts)


def _options(options: list[Any], most: int = 14) -> str:
    names = [str(option) for option in options[:most]]
    return ", ".join(names) + (f", … {len(options)} in all" if len(options) > most else "")


def _costs(costs: Mapping[str, Mapping[str, Any]]) -> Table:
    from hwnas.track.number import number

    table = _plain()
    table.add_column("cost", style="cyan")
    for name in ("least", "median", "most"):
        table.add_column(name, justify="right")
    table.add_column("least to most")
    for name, found in costs.items():
        figures = (number(found[key], 3, 1e3) for key in ("min", "median", "max"))
        table.add_row(name, *figures, _bars(found["histogram"]))
    return table


def _bars(counts: list[int]) -> str:
    """A histogram in one line; what is there at all can be seen."""
    most = max(counts)
    return "".join(_BARS[-(-n * (len(_BARS) - 1) // most)] for n in counts)
