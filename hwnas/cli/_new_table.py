"""The file that a command is to write a table into."""

from pathlib import Path


def new_table(out: Path) -> None:
    """Raise :class:`HwnasError` if ``out`` is no .npz file or there already."""
    from hwnas.core.errors import HwnasError

    if out.suffix != ".npz":
        raise HwnasError(f"--out {out}: a table is an .npz file.", f"--out {out}.npz")
    if out.exists():
        raise HwnasError(f"--out {out}: is there already.", "Name another file.")
