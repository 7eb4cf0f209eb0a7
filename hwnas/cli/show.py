"""``hwnas show``."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help="What a run has found: front, hypervolume, winners, where the models are.")
    def show(
        run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
        as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    ) -> None:
        data = collect(run)
        if as_json:
            typer.echo(json.dumps(data, indent=2))
        else:
            _print(data)


def collect(folder: Path) -> dict[str, Any]:
    """``front.json`` with the winners, each with its promised and delivered metrics."""
    from hwnas.core.files import read_json

    data: dict[str, Any] = read_json(folder / "front.json")
    data["winners"] = []
    for path in sorted((folder / "export").glob("*/model.json")):
        model = read_json(path)
        data["winners"].append(
            {
                "key": model["key"],
                "model": str(path.with_name("model.onnx")),
                "architecture": model["architecture"],
                "promised": model["promised"],
                "delivered": model["delivered"],
            }
        )
    report = folder / "export" / "report.html"
    data["report"] = str(report) if report.exists() else None
    return data


def _print(data: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    failed = f", {data['failed']} failed" if data["failed"] else ""
    console.print(
        f"[bold]{data['name']}[/]  {data['evaluations']} evaluations{failed},"
        f" hypervolume {data['hypervolume']:.4g} ({data['share']:.1%} of its box)"
    )
    names = [o["name"] for o in data["objectives"]]
    table = Table(box=None, header_style="bold", pad_edge=False, title_justify="left")
    table.add_column("trial", justify="right", style="cyan")
    for o in data["objectives"]:
        table.add_column(o["name"], justify="right")
    front = [t for t in data["trials"] if t["front"]]
    falling = data["objectives"][0]["goal"] == "max"
    for trial in sorted(front, key=lambda t: t["metrics"][names[0]], reverse=falling):
        table.add_row(str(trial["id"]), *(f"{trial['metrics'][n]:,.4g}" for n in names))
    console.print(table if front else "No trial is within every limit.")
    for winner in data["winners"]:
        console.print(f"\n[bold]winner {winner['key']}[/]  {winner['model']}", soft_wrap=True)
        for name in names:
            line = f"  {name}: promised {winner['promised'][name]:,.4g}"
            if name in winner["delivered"]:
                line += f", delivered {winner['delivered'][name]:,.4g}"
            console.print(line)
