"""Reading pickles of numbers and texts, and of nothing that can run code."""

import importlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from hwnas.core.errors import HwnasError

_ALLOWED = {
    "builtins": "bool bytearray bytes complex dict float frozenset int list set str tuple",
    "collections": "OrderedDict",
    "_codecs": "encode",  # bytes of the older protocols
    "numpy": "dtype ndarray",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy._core.numeric": "_frombuffer",
}


def _core(module: str) -> str:
    """What numpy 1 called core is _core in numpy 2."""
    return module.replace("numpy.core.", "numpy._core.")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name not in _ALLOWED.get(_core(module), "").split():
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(_core(module), name)


def load(path: Path, open: Callable[[Path], IO[bytes]]) -> Any:
    """The data of a pickle that ``open`` opens.

    Raises :class:`HwnasError` for what is no pickle, or asks for more than numpy and containers.
    """
    try:
        with open(path) as file:
            return _Unpickler(file).load()
    except (
        OSError, EOFError, pickle.UnpicklingError, ValueError, TypeError, AttributeError,
        ImportError, IndexError, KeyError,
    ) as error:  # fmt: skip
        raise HwnasError(
            f"{path}: not a pickle of plain data: {error}", "Is it the official file, whole?"
        ) from None


def numpy_globals() -> list[Any]:
    """What torch may find in a file besides its own: numpy's numbers and arrays."""
    dtypes = {np.dtype(code).__class__ for code in np.typecodes["AllInteger"] + "?efdSU"}
    found: list[Any] = [np.dtype, np.ndarray, *dtypes]
    multiarray = importlib.import_module("numpy._core.multiarray")
    for name in _ALLOWED["numpy._core.multiarray"].split():
        function = getattr(multiarray, name)
        found += [(function, f"numpy.{core}.multiarray.{name}") for core in ("core", "_core")]
    return found
