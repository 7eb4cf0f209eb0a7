"""A network loaded on its device, ready to be called again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from hwnas.core.device import Device
from hwnas.core.errors import HwnasError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hwnas.core.tensor_type import TensorType
    from hwnas.graph.graph import Graph
    from hwnas.graph.op import Op


def require(device: Device) -> None:
    """Raises :class:`HwnasError` where this process cannot run on ``device`` with torch."""
    if device.runtime != "torch":
        raise HwnasError(
            f"device.runtime: torch is timed here, got {device.runtime!r}.",
            "Set device.runtime: torch; the export stage measures winners in ONNX Runtime.",
        )
    if device.kind == "cuda":
        import torch  # two seconds that a CPU need not wait for

        if not torch.cuda.is_available():
            raise HwnasError(
                "device.kind: 'cuda' is asked for but torch sees no GPU.",
                "Set device.kind: cpu, or check nvidia-smi and that torch is a CUDA build.",
            )
    if device.batch < 1 or device.threads < 1:
        raise HwnasError(
            f"device: batch ({device.batch}) and threads ({device.threads}) must be at least 1."
        )


def runner(graph: Graph, device: Device) -> Callable[[], Tensor]:
    """Calls the network on a fixed random batch, in inference mode; its weights are random.

    Images and filters lie channels-last, the layout in which both oneDNN and cuDNN are fast.
    """
    from hwnas.space.nn.network import Network

    return _loaded(lambda: Network(graph), [graph.input.type], device)


def operation(op: Op, inputs: Sequence[TensorType], device: Device) -> Callable[[], Tensor]:
    """Calls one operation in the same way."""
    return _loaded(lambda: op.module(*inputs), inputs, device)


def _loaded(
    make: Callable[[], nn.Module], inputs: Sequence[TensorType], device: Device
) -> Callable[[], Tensor]:
    import torch

    dtype: torch.dtype = getattr(torch, device.precision)
    with torch.random.fork_rng(devices=[]):  # measuring must not change a search's randomness
        torch.default_generator.manual_seed(0)
        module = make().eval().to(device.kind, dtype)
    given = []
    for type in inputs:
        x = torch.from_numpy(type.random(device.batch, np.random.default_rng(0)))
        x = x.to(device.kind, dtype if x.is_floating_point() else x.dtype)
        if x.dim() == 4:
            x = x.contiguous(memory_format=torch.channels_last)
            module = module.to(memory_format=torch.channels_last)
        given.append(x)

    def run() -> Tensor:
        with torch.inference_mode():
            result: Tensor = module(*given)
        return result

    return run


@contextmanager
def threads(count: int) -> Iterator[None]:
    """``count`` CPU threads for torch inside, the former number after."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
