"""What benchmarks read: tables that may be absent, and what was measured before."""

import json
import sys
from pathlib import Path
from typing import Any


def present(path: Path) -> bool:
    """Whether a file of the data is there; where it is not, what to do is said."""
    if not path.exists():
        sys.stderr.write(f"{path} is absent: set HWNAS_DATA to the folder that holds it.\n")
    return path.exists()


def measured_before(path: Path) -> dict[str, Any]:
    """What an earlier run has written, where arguments name what alone is to be measured now."""
    known = json.loads(path.read_text()) if sys.argv[1:] and path.exists() else {}
    return dict(known)
