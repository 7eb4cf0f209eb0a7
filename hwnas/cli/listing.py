"""``hwnas list``."""

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from hwnas.core.registry import Component, Kind, discover


class What(StrEnum):
    """What can be listed."""

    spaces = "spaces"
    strategies = "strategies"
    estimators = "estimators"
    profilers = "profilers"
    tasks = "tasks"
    pipelines = "pipelines"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(name="list", help="What there is: spaces, strategies, estimators, ...")
    def listing(
        what: What, as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False
    ) -> None:
        rows = pipelines() if what is What.pipelines else components(cast("Kind", what.value))
        if as_json:
            typer.echo(json.dumps(rows, indent=2))
        else:
            _print(rows)


def components(kind: Kind) -> list[dict[str, Any]]:
    """Name, summary and paper of every component; family and needs, provides or metrics too."""
    return [_row(component) for component in discover(kind).values()]


def _row(component: Component) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": component.name,
        "summary": component.summary,
        "paper": component.paper,
    }
    if hasattr(component.cls, "needs"):
        row |= {"family": component.family, "needs": sorted(component.cls.needs)}
    if hasattr(component.cls, "provides"):
        row["provides"] = sorted(component.cls.provides)
    if hasattr(component.cls, "metrics") and not callable(component.cls.metrics):
        metrics = component.cls.metrics
        row |= {} if isinstance(metrics, property) else {"metrics": [m.name for m in metrics]}
    return row


def pipelines() -> list[dict[str, Any]]:
    """The pipeline files here and in the source tree, with the comment that begins each."""
    folders = [Path("pipelines"), Path(__file__).parents[2] / "pipelines"]
    rows = []
    for path in sorted({p.resolve() for folder in folders for p in folder.glob("*.yaml")}):
        lines = path.read_text().splitlines()
        comment = [line.lstrip("# ") for line in lines if line.startswith("#")]
        summary = re.split(r"(?<!et al)\. ", " ".join(comment))[0].rstrip(".")
        rows.append({"name": path.stem, "summary": summary, "paper": "", "path": str(path)})
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("name", "family") if any("family" in r for r in rows) else ("name",):
        table.add_column(name, style="cyan" if name == "name" else "dim", no_wrap=True)
    table.add_column("summary")
    for row in rows:
        table.add_row(row["name"], *([row["family"]] if "family" in row else []), row["summary"])
    Console(highlight=False).print(table)
