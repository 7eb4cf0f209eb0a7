"""Where a user's data lies."""

import os
from pathlib import Path


def expand(path: str) -> Path:
    """A path in which ``~`` and ``$VARIABLE`` are replaced."""
    return Path(os.path.expandvars(os.path.expanduser(path)))
