"""What a node tells a hypernetwork of its operation."""

from dataclasses import fields
from functools import lru_cache
from math import log2
from zlib import crc32

import numpy as np

from hwnas.graph.graph import Node
from hwnas.graph.op import Op

_WORDS = 1024
SIZE = _WORDS + 3
"""How many numbers describe a node."""


@lru_cache(maxsize=100_000)
def _words(op: Op | None) -> tuple[int, ...]:
    """The label, and kind and fields of each primitive, such as ``Conv.stride=2``.

    Hashed (Weinberger et al. 2009), so that operations not met before need no new place.
    """
    if op is None:
        return (hashed("input", _WORDS),)
    words = {op.label}
    for part in op.parts():
        kind = type(part).__name__
        words.add(kind)
        for field in fields(part):
            value = getattr(part, field.name)
            if isinstance(value, bool | int | float | str | tuple | None):
                words.add(f"{kind}.{field.name}={value}")
    return tuple(sorted({hashed(word, _WORDS) for word in words}))


def features(nodes: list[Node]) -> np.ndarray:
    """Ones for the words of each node's operation, then the logarithms of its shape.

    Shape ``[nodes, SIZE]``. It depends on what a node is, not on its name or place in the list.
    """
    found = np.zeros((len(nodes), SIZE))
    for row, node in zip(found, nodes, strict=True):
        row[list(_words(node.op))] = 1.0
        for i, size in enumerate(node.type.shape[:3]):
            row[_WORDS + i] = log2(size) / 4  # about as large as a word
    return found


def hashed(text: str, size: int) -> int:
    """One of ``size`` numbers for any text, the same in every process."""
    return crc32(text.encode()) % size
