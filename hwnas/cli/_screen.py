"""Progress of a command on screen, and what is said when it is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from hwnas.track.console import Console


@contextmanager
def screen(onwards: str, **options: Any) -> Iterator[Console]:
    """A console while something runs; ``onwards`` says how to go on after Ctrl-C."""
    from hwnas.track.console import Console

    console = Console(**options)
    try:
        yield console
    except KeyboardInterrupt:  # click would say no more than "Aborted!"
        console.close()
        typer.echo(f"Stopped. {onwards}", err=True)
        raise typer.Exit(130) from None
    finally:
        console.close()
