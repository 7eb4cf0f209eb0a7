"""The contract of a performance estimation strategy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from hwnas.core.architecture import Architecture
from hwnas.core.errors import FAILURES
from hwnas.core.metric import Metric
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.setting import Setting

if TYPE_CHECKING:
    import numpy as np


class Estimator(ABC):
    """Owns weights and compute: turns proposals into outcomes, as they finish.

    ``provides`` names what strategies may need; ``units`` training units make a full evaluation;
    ``slots`` proposals can be in work at once; ``divisible`` says whether proposals may be spread
    over processes, because no two share weights. A candidate that fails is an outcome with
    ``failed`` set. Keyword-only parameters of the constructor are the options of a pipeline file.
    """

    paper: ClassVar[str] = ""
    provides: frozenset[str] = frozenset()
    divisible: ClassVar[bool] = True
    units: int = 1
    slots: int = 1

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is measured: the metrics of the task."""
        return self.setting.task.metrics

    def costs(self, architecture: Architecture) -> Mapping[str, float]:
        """Those of its cheap metrics that it knows of a network before training; none by default.

        Raises :class:`HwnasError` for an architecture that it does not know.
        """
        return {}

    def truth(self) -> Mapping[str, np.ndarray] | None:
        """Its metrics of every network of the space, shape ``[n]`` each, where they are known."""
        return None

    def estimate(self, proposals: Iterable[Proposal]) -> Iterator[Outcome]:
        """Pull a proposal whenever a slot is free; yield outcomes as they finish.

        ``proposals`` may end and, after an outcome has been yielded, have more to give: an
        estimator with several slots asks again, until nothing is running.
        """
        for proposal in proposals:
            try:
                outcome = self._estimate(proposal)
            except FAILURES as error:
                outcome = Outcome(proposal, failed=f"{type(error).__name__}: {error}")
            yield outcome

    @abstractmethod
    def _estimate(self, proposal: Proposal) -> Outcome:
        """Train and score one proposal."""

    def checkpoint(self, id: int) -> None:
        """Make what was learnt up to and including proposal ``id`` durable, if it is shared.

        Called before the snapshot that names ``id`` is committed, so it must not spoil the
        checkpoint before. Estimators whose proposals are independent need not write it.
        """

    def restore(self, id: int) -> None:
        """Return to the checkpoint of proposal ``id``."""

    def close(self) -> None:
        """Give back processes and files."""
