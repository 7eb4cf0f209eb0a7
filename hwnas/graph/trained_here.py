"""Where a faster training pass is worth taking."""

import torch
from torch import Tensor


def trained_here(input: Tensor) -> bool:
    """Whether a backward pass through what is done with ``input`` may follow on the CPU.

    Not where a network is written down or compiled, which must see the plain operation.
    """
    traced = torch.jit.is_tracing() or torch.compiler.is_compiling()  # type: ignore[no-untyped-call,attr-defined]
    return torch.is_grad_enabled() and not traced and input.device.type == "cpu"
