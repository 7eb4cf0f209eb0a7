"""``hwnas table``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli._new_table import new_table
from hwnas.cli._screen import screen
from hwnas.cli.run import File, Seed, Set


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help="Evaluate a small space completely into a table for estimator table.")
    def table(
        pipeline: File,
        out: Annotated[Path, typer.Option(metavar="FILE.npz", help="The table.")],
        seed: Seed = None,
        set: Set = None,
        units: Annotated[
            str, typer.Option(metavar="N,N...", help="Score after so much training, too.")
        ] = "",
    ) -> None:
        from hwnas.core.tracker import Event
        from hwnas.pipeline.config import read
        from hwnas.pipeline.table import STAGES
        from hwnas.pipeline.table import table as evaluate

        new_table(out)
        levels = _numbers(units)
        with screen("Nothing is lost: the same command goes on.", stages=STAGES) as console:
            console.record(Event(STAGES[0], "start"))
            columns = evaluate(read(pipeline, set or (), seed), out, levels, console.record)
        rows = len(next(iter(columns.values())))
        size = out.stat().st_size / 1000
        typer.echo(f"{out}: {rows:,} networks, {', '.join(columns)}; {size:,.0f} kB")


def _numbers(text: str) -> Sequence[int]:
    from hwnas.core.errors import HwnasError

    try:
        return [int(number) for number in text.split(",") if number.strip()]
    except ValueError:
        raise HwnasError(f"--units {text}: expected whole numbers, such as 1,3.") from None
