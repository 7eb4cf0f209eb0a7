"""Where a network must run, and how."""

import os
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Device:
    """The conditions of every measurement. ``threads`` counts CPU threads of one process."""

    kind: Literal["cpu", "cuda"] = "cpu"
    batch: int = 1
    precision: Literal["float16", "float32", "float64"] = "float32"
    runtime: Literal["torch", "onnxruntime"] = "torch"
    threads: int = 1

    def conditions(self) -> dict[str, Any]:
        """As written beside each measured number."""
        return asdict(self)


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
