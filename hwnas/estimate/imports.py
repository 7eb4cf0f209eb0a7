"""Tables made of published benchmarks."""

import importlib
import pkgutil
from pathlib import Path

import numpy as np

from hwnas.core.errors import HwnasError
from hwnas.core.registry import nearest
from hwnas.estimate import _columns, importer
from hwnas.estimate.importer._published import Published


def kinds() -> list[str]:
    """The kinds of official files that can be read."""
    found = (module.name for module in pkgutil.iter_modules(importer.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def import_table(kind: str, source: Path, out: Path, join: Path | None = None) -> list[str]:
    """Write the table ``out`` of an official file; the names of its columns.

    With ``join`` its columns are added to those of that table, whose rows stay as they are;
    NaN is what the official file does not have.
    """
    if kind not in kinds():
        raise HwnasError(f"there is no importer called {kind!r}.", nearest(kind, kinds()))
    if not source.exists():
        raise HwnasError(f"{source}: there is no such file.", "Download it from the benchmark.")
    base = None if join is None else _columns.read(join)
    found: Published = importlib.import_module(f"{importer.__name__}.{kind}").read(source)
    if base is None:
        _columns.write(out, found.architectures, found.columns, found.to_json())
        return list(found.columns)
    columns, about = base
    rows = [text.decode() for text in columns.pop(_columns.ROWS).tolist()]
    added = found.rows(rows)
    twice = sorted(set(columns) & set(added.columns))
    if twice:
        raise HwnasError(f"{join}: has a column {twice[0]!r} already.", "Join it only once.")
    joined: dict[str, np.ndarray] = {**columns, **added.columns}
    news = added.to_json()
    facts = {**news, **about, "objectives": [*about.get("objectives", ()), *news["objectives"]]}
    facts["source"] = ", ".join(filter(None, (about.get("source"), news["source"])))
    _columns.write(out, rows, joined, facts)
    return list(joined)
