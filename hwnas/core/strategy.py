"""The contract of a search strategy: ask and tell."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, ClassVar, final

from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal


class Strategy(ABC):
    """Owns a distribution over architectures; knows nothing of weights or compute.

    Authors write :meth:`_ask` and :meth:`_tell`, :meth:`_lost` if a failed candidate matters, and
    :meth:`_state` / :meth:`_load` (numpy and JSON only). ``needs`` names what an estimator must
    provide: ``mixture``, ``gradient``, ``second_order``, ``parent`` (to go on with a network's own
    weights), ``inherit`` (to begin from those of another network), ``shared`` (training one network
    trains them all, and one that was not trained can be scored). Keyword-only parameters of the
    constructor are the options of a pipeline file, those of a base too if it takes ``**options``.
    """

    paper: ClassVar[str] = ""
    needs: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, context: Context) -> None:
        self.context = context
        self.pending: dict[int, Proposal] = {}
        self.asked = 0.0  # of the budget, the sum of the trials' prices

    @property
    def required(self) -> frozenset[str]:
        """What this instance needs, given its options; ``needs`` unless they add to it."""
        return self.needs

    @final
    def ask(self, n: int) -> list[Proposal]:
        """At most ``n`` proposals; ``[]`` means wait for outcomes, or that the search is done."""
        if n < 1:
            raise HwnasError(f"ask({n}): at least one proposal must be asked for.")
        if self._spent or self._exhausted:
            return []
        proposals = self._ask(min(n, ceil(self.context.evaluations - self.asked)))
        self.asked += sum(self.context.price(p) for p in proposals if p.is_trial)
        self.pending.update((p.id, p) for p in proposals)
        return proposals

    @final
    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """What became of proposals asked for earlier, each exactly once."""
        for outcome in outcomes:
            if self.pending.pop(outcome.proposal.id, None) is None:
                raise HwnasError(
                    f"tell: proposal {outcome.proposal.id} is not pending.",
                    "Every proposal is told once, after it was asked for.",
                )
            if outcome.failed is None:
                self._tell(outcome)
            else:
                self._lost(outcome)

    @property
    def done(self) -> bool:
        """Whether the search has ended: nothing is pending and nothing more will be asked."""
        return not self.pending and (self._spent or self._exhausted)

    @property
    def _spent(self) -> bool:
        return self.asked > self.context.evaluations - 1e-9  # prices may be fractions

    @property
    def progress(self) -> tuple[int, int]:
        """How far the search is, for people: (done, total)."""
        waiting = sum(p.is_trial for p in self.pending.values())
        return max(0, int(self.asked) - waiting), self.context.evaluations

    @property
    def diagnostics(self) -> Mapping[str, float]:
        """Numbers that tell how the search is doing, by name; recorded with its steps."""
        return {}

    @property
    def warnings(self) -> Sequence[str]:
        """What a person should know of how the search is doing, and what to do about it."""
        return ()

    @final
    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue identically, the pending proposals included."""
        return {
            "context": self.context.state_dict(),
            "asked": self.asked,
            "pending": [p.to_json() for p in self.pending.values()],
            "own": self._state(),
        }

    @final
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state_dict`, on a new strategy with the same options."""
        self.context.load_state_dict(state["context"])
        self.asked = state["asked"]
        self.pending = {p["id"]: Proposal.from_json(p) for p in state["pending"]}
        self._load(state["own"])

    @abstractmethod
    def _ask(self, n: int) -> list[Proposal]:
        """At most ``n`` proposals, made by ``self.context.propose``."""

    @abstractmethod
    def _tell(self, outcome: Outcome) -> None:
        """Learn from one outcome that has not failed."""

    def _lost(self, outcome: Outcome) -> None:
        """A proposal failed. By default it is forgotten."""

    @property
    def _exhausted(self) -> bool:
        """Whether nothing more will be asked although the budget is not spent."""
        return False

    def _state(self) -> dict[str, Any]:
        return {}

    def _load(self, state: Mapping[str, Any]) -> None:
        pass
