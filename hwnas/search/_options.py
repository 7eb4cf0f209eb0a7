"""Checks of the options that strategies share."""

from hwnas.core.errors import HwnasError


def at_least(least: float, **options: float) -> None:
    """Raises :class:`HwnasError` for the first option below ``least``."""
    for name, value in options.items():
        if not value >= least:
            raise HwnasError(f"search.{name}: must be at least {least}, got {value}.")


def above(bound: float, **options: float) -> None:
    """Raises :class:`HwnasError` for the first option not above ``bound``."""
    for name, value in options.items():
        if not value > bound:
            raise HwnasError(f"search.{name}: must be above {bound}, got {value}.")


def within(low: float, high: float, **options: float) -> None:
    """Raises :class:`HwnasError` for the first option not from ``low`` to ``high``."""
    for name, value in options.items():
        if not low <= value <= high:
            raise HwnasError(f"search.{name}: must be from {low} to {high}, got {value}.")
