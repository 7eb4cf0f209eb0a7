"""Steps that come again and again, recorded and replayed on a GPU."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Sequence

import torch
from torch import Tensor, nn

from hwnas.core.device import Device
from hwnas.graph.modules import Scheduled

Results = Sequence[Tensor | None]
Function = Callable[..., Results]

_FIRST = 2  # calls as they are, in which libraries choose their algorithms
_MOST = 8  # recordings kept, as each holds its results
_COUNTED = 1000  # functions whose calls are counted

_log = logging.getLogger(__name__)


class Recorder:
    """Calls functions of tensors; if it ``records``, from the third time on as a CUDA graph.

    A step of a supernet is tens of thousands of small kernels, and starting one from Python takes
    longer than it runs. A CUDA graph starts them all at once, with the same results
    (benchmarks/gpu_supernet.py). Where a function cannot be recorded, as something in it waits for
    the GPU, all goes on as before.
    """

    def __init__(self, records: bool) -> None:
        self._records = records
        self._calls: Counter[Hashable] = Counter()
        self._recordings: dict[Hashable, _Recording] = {}
        self._kept: set[int] = set()  # the results of recordings

    @classmethod
    def of(cls, network: nn.Module, device: Device) -> "Recorder":
        """That of a network's steps, on a GPU.

        What is scheduled inside of a network is a number in Python, and would be recorded as it is.
        """
        scheduled = any(isinstance(m, Scheduled) for m in network.modules())
        return cls(device.kind == "cuda" and not scheduled)

    def __call__(self, name: Hashable, function: Function, *inputs: Tensor) -> Results:
        """The results; they hold until the next call of this ``name``.

        Calls of one name do the same with ``inputs`` of the same shapes. Whatever else the function
        reads must be tensors that stay where they are.
        """
        if not self._records:
            return function(*inputs)
        if name not in self._recordings:
            if len(self._calls) > _COUNTED:  # paths that are drawn differ at every step
                self._calls.clear()
            self._calls[name] += 1
            if self._calls[name] <= _FIRST or len(self._recordings) == _MOST:
                return function(*inputs)
            try:
                recording = _Recording(function, inputs, self._kept)
            except RuntimeError as error:
                _log.warning("steps run kernel by kernel, as they cannot be recorded: %s", error)
                self._records = False
                return function(*inputs)
            self._recordings[name] = recording
            self._kept.update(map(id, recording.results))
        return self._recordings[name](inputs)


class _Recording:
    """A CUDA graph with the tensors that it reads and writes.

    It reads those ``kept``, which another one writes, where they are, and copies of the others.
    """

    def __init__(
        self, function: Function, inputs: tuple[Tensor, ...], kept: Collection[int]
    ) -> None:
        self._inputs = [x if id(x) in kept else x.clone() for x in inputs]
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self.results = function(*self._inputs)

    def __call__(self, inputs: tuple[Tensor, ...]) -> Results:
        for own, x in zip(self._inputs, inputs, strict=True):
            if own is not x:
                own.copy_(x)
        self._graph.replay()
        return self.results
