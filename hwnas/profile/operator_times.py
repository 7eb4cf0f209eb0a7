"""How long single operations take on a device."""

from pathlib import Path

from hwnas.core.device import Device
from hwnas.core.files import read_json, write_json
from hwnas.core.tensor_type import TensorType
from hwnas.graph.op import Op
from hwnas.profile.runner import operation, threads
from hwnas.profile.stopwatch import Stopwatch


class OperatorTimes:
    """Milliseconds of an operation on inputs of given types, each signature measured once.

    A network takes about as long as its operations one after another (FBNet, Wu et al. 2019,
    arXiv:1812.03443, section 3.3). They are kept in the file ``path``, if there is one, as a search
    that is resumed must go on with the same.
    """

    def __init__(self, device: Device, stopwatch: Stopwatch, path: Path | None = None) -> None:
        self._device = device
        self._stopwatch = stopwatch
        self._path = path
        self._known: dict[str, float] = {}
        if path is not None and path.exists():
            self._known = read_json(path)

    def __call__(self, op: Op, *inputs: TensorType) -> float:
        """Milliseconds for a batch of the device, with random weights."""
        name = f"{op!r} of {', '.join(map(repr, inputs))}"
        if name not in self._known:
            with threads(self._device.threads):
                timing = self._stopwatch.time(operation(op, inputs, self._device))
            self._known[name] = timing.median
            if self._path is not None:
                write_json(self._path, self._known)
        return self._known[name]
