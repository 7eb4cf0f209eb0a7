"""Snapshots as JSON: arrays keep their exact bytes, and loading can run no code."""

import base64
import json
from typing import Any

import numpy as np


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"__array__": data, "dtype": str(value.dtype), "shape": value.shape}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a state holds numpy arrays and JSON only, not {type(value).__name__}")


def _decode(value: dict[str, Any]) -> Any:
    if "__array__" not in value:
        return value
    data = base64.b64decode(value["__array__"])
    return np.frombuffer(data, dtype=value["dtype"]).reshape(value["shape"]).copy()


def dumps(state: Any) -> str:
    """A state as text. Raises TypeError for anything but numpy arrays and JSON values."""
    return json.dumps(state, default=_encode)


def loads(text: str) -> Any:
    """The inverse of :func:`dumps`."""
    return json.loads(text, object_hook=_decode)
