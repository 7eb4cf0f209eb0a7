"""Where tests find the real data, outside the repository."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def data(name: str) -> Path:
    """The path of a data file, or a skip that says how to provide it."""
    path = ROOT / os.environ.get("HWNAS_DATA", "../shared/data") / name
    if not path.exists():
        pytest.skip(f"{path} is absent: set HWNAS_DATA to the folder that holds {name}")
    return path
