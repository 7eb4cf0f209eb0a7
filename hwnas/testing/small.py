"""Small instances of any component, for tests."""

from typing import Any

from hwnas.core.registry import known_options


def small(cls: type[Any], most: int = 4) -> dict[str, Any]:
    """Options under which a component is quick: every default integer is at most ``most``."""
    return {
        name: min(default, most)
        for name, (_, default) in known_options(cls).items()
        if type(default) is int
    }
