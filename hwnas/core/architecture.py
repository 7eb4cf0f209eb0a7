"""A discrete point of a search space."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hwnas.core.choice import Choice, Value


class Architecture(Mapping[str, Value]):
    """What was taken for each choice, by name. Immutable, hashable, JSON-able.

    Only the choices that were met are present: in a conditional space the hyperparameters of a
    layer that does not exist have no value.
    """

    __slots__ = ("_hash", "_picks")
    discrete = True

    def __init__(self, picks: Mapping[str, Value]) -> None:
        self._picks = dict(picks)
        self._hash: int | None = None

    def __getitem__(self, name: str) -> Value:
        return self._picks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._picks)

    def __len__(self) -> int:
        return len(self._picks)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._picks.items()))
        return self._hash

    def __reduce__(self) -> tuple[type["Architecture"], tuple[dict[str, Value]]]:
        """Pickled without its hash, which is another one in another process."""
        return Architecture, (self._picks,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self._picks == other._picks

    def __repr__(self) -> str:
        return f"Architecture({self._picks!r})"

    @property
    def key(self) -> str:
        """Ten hexadecimal digits that name this architecture in file names."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def weights(self, choice: Choice) -> np.ndarray:
        """One-hot vector of what was taken, shape ``[n_options]``; zeros if it was not met."""
        if choice.name not in self._picks:
            return np.zeros(len(choice.options))
        return np.asarray(choice.weights(self._picks[choice.name]))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: a taken option is its label, several are a list of labels."""
        return {n: list(v) if isinstance(v, tuple) else v for n, v in self._picks.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Architecture":
        """The inverse of :meth:`to_json`."""
        return cls({n: tuple(v) if isinstance(v, list) else v for n, v in data.items()})
