"""How this process computes."""

import torch

from hwnas.core.device import Device


def settle(device: Device) -> None:
    """Use the device's threads, and algorithms that give the same result every time.

    Repeatable kernels make a resumed search identical to an undisturbed one on a GPU too.
    """
    torch.set_num_threads(device.threads)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
