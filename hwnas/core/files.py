"""Files that are written whole or not at all."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hwnas.core.errors import HwnasError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name to write to, which becomes ``path`` unless the block raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write(path: Path, text: str) -> None:
    """``text``, whole or not at all."""
    with whole(path) as partial:
        partial.write_text(text)


def write_json(path: Path, data: Any) -> None:
    """``data`` as indented JSON."""
    write(path, json.dumps(data, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """The inverse of :func:`write_json`. Raises :class:`HwnasError` if that cannot be done."""
    if not path.exists():
        raise HwnasError(f"{path}: there is no such file.", "Is this a run folder, and finished?")
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise HwnasError(f"{path}: not a JSON file: {error}") from None


def digest(data: Any) -> str:
    """A short hash of JSON data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
