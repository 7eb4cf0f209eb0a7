"""The contract of a tracker: something that is told what happens."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Event:
    """Something happened in ``stage``.

    ``kind``: it starts with ``total`` steps ahead, makes progress to ``done`` of them, has
    something to say, was skipped, or has ended. ``values`` are named figures.
    """

    stage: str
    kind: Literal["start", "progress", "say", "skip", "end"]
    done: int = 0
    total: int = 0
    message: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


class Tracker(ABC):
    """Shows or keeps events. Must never slow or stop a search."""

    @abstractmethod
    def record(self, event: Event) -> None:
        """Take note of an event."""

    def close(self) -> None:
        """No more events will come."""
