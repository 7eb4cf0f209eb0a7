"""What a strategy wants to know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hwnas.core.architecture import Architecture
from hwnas.core.mixture import Mixture


@dataclass(frozen=True)
class Proposal:
    """A point to train and score.

    ``train`` is an *increment* of training units before scoring (0: score what is there);
    ``score`` the number of validation batches (None: the whole validation set, 0: none);
    ``parent`` the proposal whose weights to begin from; ``gradient`` the wanted order of
    d metric / d point: 0 none, 1 at the trained weights, 2 through one more training step.
    """

    id: int
    point: Architecture | Mixture
    train: int
    score: int | None = None
    parent: int | None = None
    gradient: Literal[0, 1, 2] = 0

    @property
    def architecture(self) -> Architecture:
        """The point, where it is one network. Raises :class:`TypeError` if it is a mixture."""
        if not isinstance(self.point, Architecture):
            raise TypeError(f"proposal {self.id} is a mixture")
        return self.point

    @property
    def is_trial(self) -> bool:
        """Whether the outcome is a measured network, not a step of training on the way to one."""
        return self.point.discrete and self.score != 0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, the inverse of :meth:`from_json`."""
        kind = "architecture" if self.point.discrete else "mixture"
        return {
            "id": self.id,
            kind: self.point.to_json(),
            "train": self.train,
            "score": self.score,
            "parent": self.parent,
            "gradient": self.gradient,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Proposal":
        """The inverse of :meth:`to_json`."""
        fields = dict(data)
        if "architecture" in fields:
            point: Architecture | Mixture = Architecture.from_json(fields.pop("architecture"))
        else:
            point = Mixture.from_json(fields.pop("mixture"))
        return cls(point=point, **fields)
