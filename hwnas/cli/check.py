"""``hwnas check``."""

import sys
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help="Run the public contract suite on a plug-in.")
    def check(
        target: Annotated[str, typer.Argument(metavar="MODULE:NAME", help="A component class.")],
    ) -> None:
        from rich.console import Console

        from hwnas.core.errors import HwnasError
        from hwnas.core.registry import load
        from hwnas.testing.check import check as suite
        from hwnas.testing.check import kind_of

        sys.path.insert(0, "")  # a plug-in under work lies in the working directory
        try:
            cls = load(target)
        except (ImportError, AttributeError, ValueError) as error:
            raise HwnasError(
                f"{target}: cannot be imported: {error}", "e.g. my_package.my_strategy:MyStrategy"
            ) from None
        console = Console(highlight=False)
        failures = 0
        for name, ok, message in suite(kind_of(cls), cls):
            failures += not ok
            console.print(f"[green]ok[/]   {name}" if ok else f"[red]FAIL[/] {name}: {message}")
        if failures:
            raise typer.Exit(1)
