"""Where a user's data lies."""

import os
from pathlib import Path


def expand(path: str) -> Path:
    """A path in which ``$VARIABLE`` and ``~`` are replaced, where they mean something."""
    known = Path(os.path.expandvars(path))
    try:
        return known.expanduser()
    except RuntimeError:  # no such user; whoever opens it will say that it is not there
        return known
