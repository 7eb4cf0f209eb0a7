"""``hwnas compare``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli._screen import screen

if TYPE_CHECKING:
    from hwnas.pipeline.config import Pipeline


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help="Compare strategies: one space, estimator and budget, several seeds.")
    def compare(
        pipelines: Annotated[list[Path], typer.Argument(metavar="PIPELINE...")],
        seeds: Annotated[int, typer.Option(min=1, help="Searches of each.")] = 10,
        budget: Annotated[
            int | None, typer.Option(min=1, help="Evaluations of each [default: the pipelines']")
        ] = None,
        strategy: Annotated[
            list[str] | None,
            typer.Option(metavar="NAME", help="The first pipeline with this one at its defaults."),
        ] = None,
        workers: Annotated[
            int | None,
            typer.Option(min=1, help="Processes [default: cores, 1 if time is measured]"),
        ] = None,
        out: Annotated[Path | None, typer.Option(help="Folder [default: runs/compare]")] = None,
        set: Annotated[
            list[str] | None, typer.Option(metavar="KEY=VALUE", help="e.g. space.cells=2")
        ] = None,
        resume: Annotated[bool, typer.Option("--resume", help="Go on in the folder.")] = False,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    ) -> None:
        from hwnas.core.errors import HwnasError
        from hwnas.core.tracker import Event
        from hwnas.pipeline.compare import compare as run
        from hwnas.pipeline.compare import contest
        from hwnas.pipeline.pipeline import folder_for
        from hwnas.track.compare_picture import compare_picture
        from hwnas.track.mlflow_comparison import log_comparison

        entrants = contest(_read(pipelines, strategy or (), set or ()), budget)
        folder = folder_for(Path("compare"), out, resume)
        if not resume and folder.exists() and any(folder.iterdir()):
            raise HwnasError(
                f"--out {folder}: not empty.", "Add --resume to go on there, or name another."
            )
        with screen("The same command with --resume goes on.", stages=("compare",)) as console:
            console.record(Event("compare", "start"))
            result = run(entrants, folder, seeds, workers, console.record)
        compare_picture(result, folder / "compare.png")
        tracking = next(iter(entrants.values())).tracking
        if tracking.uri is not None:
            log_comparison(tracking.uri, tracking.experiment, folder, result)
        if as_json:
            typer.echo(json.dumps(result, indent=2))
        else:
            _print(result, folder)


def _read(
    paths: Sequence[Path], strategies: Sequence[str], settings: Sequence[str]
) -> dict[str, Pipeline]:
    """The pipelines, and the first one with other strategies, by the names of the strategies.

    Pipelines of the same strategy are told apart by the names of their files.
    """
    from hwnas.core.errors import HwnasError
    from hwnas.pipeline.compare import with_strategy
    from hwnas.pipeline.config import read

    files = [(path, read(path, settings)) for path in paths]
    first = files[0][1]
    entrants = [(path.stem, pipeline) for path, pipeline in files]
    entrants += [(name, with_strategy(first, name)) for name in strategies]
    names = [pipeline.search.name for _, pipeline in entrants]
    found: dict[str, Pipeline] = {}
    for own, pipeline in entrants:
        name = own if names.count(pipeline.search.name) > 1 else pipeline.search.name
        if name in found:
            raise HwnasError(f"{name}: two of the pipelines have this name.", "Rename a file.")
        found[name] = pipeline
    return found


def _print(result: Mapping[str, Any], folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    objectives = " and ".join(o["name"] for o in result["objectives"])
    best = "the best possible" if result["exact"] else "the best found"
    console.print(
        f"\n[bold]{objectives}[/]: share of {best} hypervolume,\n"
        f"mean of {result['seeds']} seeds ± standard deviation\n"
    )
    budget = result["budget"]
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("strategy", style="cyan", no_wrap=True)
    early = [at for at in (budget // 4, budget // 2) if at]
    for at in early:
        table.add_column(f"at {at}", justify="right")
    table.add_column(f"at {budget}", justify="right")
    table.add_column("rank", justify="right")
    table.add_column(f"p over {result['baseline']}", justify="right")
    for row in result["strategies"]:
        last = f"{row['mean'][-1]:.4f} ± {row['std'][-1]:.4f}"
        p = "" if row["p"] is None else f"{row['p']:.2g}"
        style = "bold" if p and row["p"] < 0.01 else ""
        table.add_row(
            row["name"],
            *(f"{row['mean'][at - 1]:.4f}" for at in early),
            last,
            f"{row['rank']:.1f}",
            f"[{style}]{p}[/]" if style else p,
        )
    console.print(table)
    failed = sum(row["failed"] for row in result["strategies"])
    if failed:
        console.print(f"[yellow]{failed} candidates failed.[/]")
    console.print(f"[bold]Picture[/]  {folder / 'compare.png'}", soft_wrap=True)
    console.print(f"[bold]Figures[/]  {folder / 'compare.json'}", soft_wrap=True)
