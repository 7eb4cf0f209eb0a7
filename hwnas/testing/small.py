"""Small instances of any component, for tests."""

import inspect
from typing import Any


def small(cls: type[Any], most: int = 4) -> dict[str, Any]:
    """Options under which a component is quick: every default integer is at most ``most``."""
    return {
        p.name: min(p.default, most)
        for p in inspect.signature(cls).parameters.values()
        if p.kind is p.KEYWORD_ONLY and type(p.default) is int
    }
