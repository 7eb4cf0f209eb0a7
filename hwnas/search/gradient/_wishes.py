"""How much each objective counts in each descent."""

import numpy as np

from hwnas.core.errors import HwnasError
from hwnas.search._directions import directions

_INWARD = 0.8  # so that no preference leaves an objective out


def wishes(n: int, count: int, preference: list[float] | None) -> np.ndarray:
    """``count`` vectors over ``n`` objectives spread on the simplex, or the one ``preference``.

    Shape ``[count, n]``. Raises :class:`HwnasError` if the preference does not fit.
    """
    if preference is None:
        spread = directions(n, count) if count > 1 else np.ones((1, n))
        return _INWARD * spread + (1 - _INWARD) / n
    if len(preference) != n or min(preference) < 0:
        raise HwnasError(
            f"search.preference: one weight of at least 0 for each of the {n} objectives,"
            f" got {preference}."
        )
    return np.array([preference])
