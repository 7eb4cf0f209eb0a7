"""How this process computes."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from hwnas.core.device import Device


def settle(device: Device) -> None:
    """Use the device's threads, and algorithms that give the same result every time.

    Repeatable kernels make a resumed search identical to an undisturbed one on a GPU too.
    """
    torch.set_num_threads(device.threads)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def derive(*parts: int) -> int:
    """A seed for torch that depends on every part, the same in every process."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


@contextmanager
def drawing(device: Device, *seed: int) -> Iterator[None]:
    """Inside, what torch draws (initial weights, dropout) depends on ``seed`` only.

    The generators outside are left as they were.
    """
    gpu = device.kind != "cpu"
    number = derive(*seed)
    with torch.random.fork_rng([torch.device(device.kind)] if gpu else []):
        # torch.manual_seed seeds all kinds of devices, a millisecond each that is not there.
        torch.default_generator.manual_seed(number)
        if gpu:
            torch.cuda.manual_seed(number)
        yield
