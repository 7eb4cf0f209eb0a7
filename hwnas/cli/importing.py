"""``hwnas import``."""

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli._new_table import new_table


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(name="import", help="Make a table of a published benchmark's official file.")
    def importing(
        kind: Annotated[
            str, typer.Argument(metavar="KIND", help="nas_bench_201, nats_bench or hw_nas_bench.")
        ],
        source: Annotated[
            Path, typer.Argument(metavar="SOURCE", help="The official file, or its folder.")
        ],
        out: Annotated[Path, typer.Option(metavar="FILE.npz", help="The table.")],
        join: Annotated[
            Path | None,
            typer.Option(metavar="TABLE.npz", help="Add the columns to those of this table."),
        ] = None,
    ) -> None:
        from rich.console import Console

        from hwnas.estimate.imports import import_table

        new_table(out)
        with Console(stderr=True).status(f"reads {source}"):  # takes a minute or two
            columns = import_table(kind, source, out, join)
        size = out.stat().st_size / 1000
        typer.echo(f"{out}: {', '.join(columns)}; {size:,.0f} kB")
