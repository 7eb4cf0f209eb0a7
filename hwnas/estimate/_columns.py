"""The file of a tabular benchmark: an ``.npz`` of columns, a row an architecture.

``architecture`` has what each row is, as text that the space can parse (JSON, or its published
notation); the other columns are numbers. A metric after less training is a column of its own,
``error@3`` after 3 units. ``about`` is JSON: ``units`` of full training, and how it was made.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.core.errors import HwnasError
from hwnas.core.files import whole

ROWS, ABOUT = "architecture", "about"


def write(
    path: Path,
    architectures: Iterable[str],
    columns: Mapping[str, np.ndarray],
    about: Mapping[str, Any],
) -> None:
    """Write a table, whole or not at all."""
    rows = np.array([text.encode() for text in architectures])
    arrays: dict[str, Any] = {ROWS: rows, ABOUT: np.array(json.dumps(about).encode()), **columns}
    with whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The columns, ``architecture`` among them, and what the table says about itself.

    Raises :class:`HwnasError` for what is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise HwnasError(
            f"{path}: not a table: {error}", "Make one: hwnas table PIPELINE.yaml --out FILE.npz"
        ) from None
    about = json.loads(bytes(columns.pop(ABOUT).item())) if ABOUT in columns else {}
    return columns, about
