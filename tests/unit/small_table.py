"""A table of the 32 networks of a small space, for tests."""

import json
from pathlib import Path

import numpy as np

from hwnas.core import Setting, Space
from hwnas.estimate import _columns
from hwnas.space.moves import every
from hwnas.space.size import Size
from hwnas.testing import FakeTask

CHANNELS = [4, 8]


def space() -> Space:
    task = FakeTask()
    return Size(task.input, task.outputs, channels=CHANNELS)


def setting(folder: Path | None = None, keep: bool = False) -> Setting:
    return Setting(space(), FakeTask(), folder=folder, keep=keep)


def write(path: Path) -> Path:
    """Errors after 3 and 9 units, and a cheap cost that grows as the error falls."""
    architectures = list(every(space()))
    rng = np.random.default_rng(0)
    total = np.array([sum(map(int, a.values())) for a in architectures])  # type: ignore[arg-type]
    error = 0.5 - total / 100 + 0.02 * rng.random(len(total))
    columns = {"error": error, "error@3": error + 0.2, "work": total}
    about = {"units": 9, "objectives": [{"metric": "work", "unit": "MJ", "goal": "min"}]}
    _columns.write(path, [json.dumps(a.to_json()) for a in architectures], columns, about)
    return path
