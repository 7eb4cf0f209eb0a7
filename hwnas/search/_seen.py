"""Not asking for the same architecture twice."""

from collections.abc import Callable, Iterable

from hwnas.core.architecture import Architecture


class Seen:
    """The architectures asked for, remembered by their keys, in order."""

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}

    def __contains__(self, architecture: Architecture) -> bool:
        return architecture.key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, architecture: Architecture) -> None:
        """Remember one."""
        self._keys[architecture.key] = None

    def fresh(self, make: Callable[[], Architecture], tries: int = 50) -> Architecture | None:
        """The first of ``tries`` architectures made that was not seen, None if all were."""
        for _ in range(tries):
            architecture = make()
            if architecture not in self:
                return architecture
        return None

    def state(self) -> list[str]:
        """For a snapshot."""
        return list(self._keys)

    def load(self, keys: Iterable[str]) -> None:
        """The inverse of :meth:`state`."""
        self._keys = dict.fromkeys(keys)
