"""What an estimator or profiler is given besides its own options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.core.device import Device
from hwnas.core.space import Space

if TYPE_CHECKING:
    from hwnas.task.task import Task


@dataclass(frozen=True)
class Setting:
    """The problem at hand. ``folder`` is where weights may be kept, None for nowhere.

    ``keep`` asks for the weights of every proposal, because a later one may name it as parent.
    """

    space: Space
    task: Task
    device: Device = Device()
    seed: int = 0
    folder: Path | None = None
    keep: bool = False
