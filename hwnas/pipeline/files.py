"""The files of a run folder: written whole or not at all."""

import hashlib
import json
from pathlib import Path
from typing import Any

from hwnas.core.errors import HwnasError


def write(path: Path, text: str) -> None:
    """Write under a temporary name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


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
