"""The memory that an operator takes while it runs and afterwards, once a signature."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hwnas.core.tensor_type import TensorType
from hwnas.graph.op import Op

if TYPE_CHECKING:
    from torch import Tensor

WIDTH = {"float16": 2, "float32": 4, "float64": 8}
"""Bytes of one number by precision."""


@dataclass(frozen=True)
class Footprint:
    """What an operator occupies, in bytes.

    ``state`` is of weights and buffers, ``peak`` of the tensors it makes at the worst moment,
    ``kept`` of the result. ``alias`` is the position of the input that the result shares its
    memory with (a skip connection), and then nothing is kept.
    """

    state: int
    peak: int
    kept: int
    alias: int | None


def tensor_bytes(type: TensorType, batch: int, width: int) -> int:
    """Of a batch of ``type`` when floating-point numbers have ``width`` bytes."""
    import torch

    dtype: torch.dtype = getattr(torch, type.dtype)
    return type.size * batch * (width if dtype.is_floating_point else dtype.itemsize)


@lru_cache(maxsize=100_000)
def footprint(op: Op, batch: int, width: int, *inputs: TensorType) -> Footprint:
    """Runs the operator on tensors without data and follows the life of every storage.

    So what happens inside counts too: the steps of a block, a pool's indices, a sum's partial
    results. The private scratch memory of a kernel (oneDNN, cuDNN) is not seen.
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.multiprocessing import reductions
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    weak: Any = reductions.StorageWeakRef  # without annotations
    live: dict[Any, int] = {}
    known: set[int] = set()
    peak = 0

    def size(tensor: Tensor) -> int:
        storage = tensor.untyped_storage().nbytes()
        return storage // tensor.element_size() * width if tensor.is_floating_point() else storage

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            nonlocal live, peak
            result = func(*args, **(kwargs or {}))
            for tensor in tree_leaves(result):
                if isinstance(tensor, torch.Tensor):
                    storage = tensor.untyped_storage()
                    if storage._cdata not in known:
                        live[weak(storage)] = size(tensor)
            live = {ref: n for ref, n in live.items() if not ref.expired()}
            peak = max(peak, sum(live.values()))
            return result

    # no_grad rather than inference_mode: there a composite operator would hide what it makes
    with FakeTensorMode(), torch.no_grad():
        module = op.module(*inputs).eval()
        state = [*module.parameters(), *module.buffers()]
        given = [torch.empty(batch, *i.shape, dtype=getattr(torch, i.dtype)) for i in inputs]
        known.update(t.untyped_storage()._cdata for t in (*state, *given))
        with Watch():  # type: ignore[no-untyped-call]
            result = module(*given)
        at = [t.untyped_storage()._cdata for t in given]
        own = result.untyped_storage()._cdata
        alias = at.index(own) if own in at else None
        kept = 0 if alias is not None else size(result)
        return Footprint(sum(map(size, state)), peak, kept, alias)
