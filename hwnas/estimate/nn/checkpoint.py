"""Weights on disk: safetensors, complete or not there at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from hwnas.core.errors import HwnasError
from hwnas.core.files import whole


def save(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write ``tensors`` and JSON ``facts``, whole or not at all."""
    # Copies, as safetensors takes no two names for the same memory.
    plain = {
        name: t.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, t in tensors.items()
    }
    with whole(path) as partial:
        save_file(plain, partial, metadata={"facts": json.dumps(facts)})


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, on the CPU, and the facts. Raises :class:`HwnasError` if there is no file."""
    if not path.exists():
        raise HwnasError(f"there are no weights at {path}.", "They were deleted, or never kept.")
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["facts"])


def flat(groups: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors of several kinds, named ``kind.name``."""
    return {f"{kind}.{name}": t for kind, group in groups.items() for name, t in group.items()}


def group(tensors: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Those of one kind in what :func:`flat` made."""
    start = f"{kind}."
    return {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}
