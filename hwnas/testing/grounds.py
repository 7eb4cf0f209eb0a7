"""What the checks of spaces look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.errors import HwnasError
from hwnas.core.registry import check_options, find
from hwnas.core.space import Space
from hwnas.core.tensor_type import TensorType
from hwnas.space.moves import sample
from hwnas.testing.small import small

INPUTS = (TensorType((3, 16, 16)), TensorType((6,), "int64", 5))
"""What a space is tried on, one after the other: images, tokens."""
OUTPUTS = 5


@dataclass(frozen=True)
class Grounds:
    """A space, and how many random architectures each check looks at, and how many it exports."""

    space: Space
    samples: int = 12
    exports: int = 2

    def architectures(self) -> list[Architecture]:
        """The same random ones each time."""
        rng = np.random.default_rng(0)
        return [sample(self.space, rng) for _ in range(self.samples)]


def space_grounds(
    space: str | type[Space] | Space,
    options: Mapping[str, Any] | None = None,
    input: TensorType | None = None,
    outputs: int = OUTPUTS,
    samples: int = 12,
    exports: int = 2,
) -> Grounds:
    """A space ready for the checks; ``options`` None makes it small.

    Without an ``input`` it is the first of :data:`INPUTS` that the space can be built on. Raises
    :class:`HwnasError` if it does not fit the input or the options.
    """
    if isinstance(space, Space):
        return Grounds(space, samples, exports)
    cls = find("spaces", space, "space").cls if isinstance(space, str) else space
    valid = check_options(cls, small(cls, 2) if options is None else options, "space")
    errors = []
    for candidate in INPUTS if input is None else (input,):
        try:
            built = cls(candidate, outputs, **valid)
            sample(built, np.random.default_rng(0))
        except HwnasError as error:
            errors.append(error)
        else:
            return Grounds(built, samples, exports)
    raise errors[0]
