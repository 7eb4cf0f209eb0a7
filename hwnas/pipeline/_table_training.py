"""Training all networks of a table."""

import math
from collections.abc import Iterator, Mapping, Sequence

from hwnas.core.architecture import Architecture
from hwnas.core.errors import HwnasError
from hwnas.core.estimator import Estimator
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.tracker import Event
from hwnas.pipeline.run import Run
from hwnas.track.store import Store

_HOPELESS = 10  # if so many networks fail and none works, there is a mistake in the pipeline


class Training(Iterator[Proposal]):
    """Networks as proposals, each taken to the next level of training as soon as it has one.

    May have more to give after an outcome. Network ``i`` at level ``k`` is proposal
    ``i * len(levels) + k``, so that its seed does not depend on what was done before.
    """

    def __init__(
        self,
        run: Run,
        networks: Sequence[Architecture],
        chosen: Sequence[int],
        levels: Sequence[int],
        store: Store,
    ) -> None:
        self._run = run
        self._networks = networks
        self._levels = levels
        self._store = store
        self._total = len(chosen)
        self._done: dict[int, list[Outcome]] = {}
        for outcome in store.trials():
            self._done.setdefault(outcome.proposal.id // len(levels), []).append(outcome)
        self._failed = sum(o[-1].failed is not None for o in self._done.values())
        self._new = iter([i for i in chosen if i not in self._done])
        self._ready: list[Proposal] = []
        self._begun: dict[int, list[Outcome]] = {}

    def run(self, estimator: Estimator) -> Mapping[int, Sequence[Outcome]]:
        """The outcomes of each network, those of higher levels last."""
        values = {"failed": self._failed}
        self._run.record(Event("train", "start", len(self._done), self._total, values=values))
        while (before := len(self._done)) < self._total:
            for outcome in estimator.estimate(self):
                self._take(outcome)
            if len(self._done) == before:
                raise RuntimeError("the estimator has left networks undone")
        failed = f", {self._failed:,} failed" if self._failed else ""
        message = f"{self._total:,} networks trained{failed}"
        self._run.record(Event("train", "end", message=message))
        return self._done

    def __next__(self) -> Proposal:
        if self._ready:
            return self._ready.pop(0)
        network = next(self._new)
        self._begun[network] = []
        return self._proposal(network, 0)

    def _proposal(self, network: int, level: int) -> Proposal:
        id = network * len(self._levels) + level
        reached = self._levels[level - 1] if level else 0
        train = self._levels[level] - reached
        return Proposal(id, self._networks[network], train, parent=id - 1 if level else None)

    def _take(self, outcome: Outcome) -> None:
        network, level = divmod(outcome.proposal.id, len(self._levels))
        wrong = [f"{n} is {v}" for n, v in outcome.metrics.items() if not math.isfinite(v)]
        if outcome.failed is None and wrong:
            outcome = Outcome(outcome.proposal, spent=outcome.spent, failed=wrong[0])
        outcomes = self._begun[network]
        outcomes.append(outcome)
        if outcome.failed is None and level + 1 < len(self._levels):
            self._ready.append(self._proposal(network, level + 1))
            return
        self._store.commit(trials=outcomes)
        self._done[network] = self._begun.pop(network)
        for past in outcomes:  # weights of a whole space would fill the disk
            for path in (self._run.folder / "search").glob(f"*/{past.proposal.id}.*"):
                path.unlink()
        self._failed += outcome.failed is not None
        values = {"failed": self._failed}
        self._run.record(Event("train", "progress", len(self._done), self._total, values=values))
        if len(self._done) == self._failed and self._failed >= min(_HOPELESS, self._total):
            raise HwnasError(
                f"all of the first {self._failed} networks failed; the last: {outcome.failed}",
                f"Mend the cause, delete {self._run.folder} and begin again.",
            )
