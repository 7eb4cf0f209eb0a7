"""Checks of the options that strategies share."""

from math import inf

from hwnas.core.errors import HwnasError


def at_least(least: float, **options: float) -> None:
    """Raises :class:`HwnasError` for the first option below ``least``, or infinite."""
    for name, value in options.items():
        if not least <= value < inf:
            raise HwnasError(f"search.{name}: must be at least {least}, got {value}.")


def above(bound: float, **options: float) -> None:
    """Raises :class:`HwnasError` for the first option not above ``bound``, or infinite."""
    for name, value in options.items():
        if not bound < value < inf:
            raise HwnasError(f"search.{name}: must be above {bound}, got {value}.")


def within(low: float, high: float, **options: float) -> None:
    """Raises :class:`HwnasError` for the first option not from ``low`` to ``high``."""
    for name, value in options.items():
        if not low <= value <= high:
            raise HwnasError(f"search.{name}: must be from {low} to {high}, got {value}.")
