"""The ``hwnas`` command."""

import logging
import sys

import typer
from rich.console import Console
from rich.markup import escape

from hwnas import __version__
from hwnas.cli import check, compare, importing, listing, run, show, table
from hwnas.core.errors import HwnasError

app = typer.Typer(
    help="Find neural networks that are accurate and fit their hardware.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (run, listing, show, compare, table, importing, check):
    module.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hwnas {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command: exit status 0 done, 2 the user's mistake, 1 a fault of ours."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    console = Console(stderr=True, highlight=False)
    sys.path.insert(0, "")  # the user's own components lie in the working directory
    try:
        app()
    except HwnasError as error:
        console.print(f"[bold red]error[/] {escape(error.message)}", soft_wrap=True)
        if error.hint:
            console.print(f"[cyan]hint[/]  {escape(error.hint)}", soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
