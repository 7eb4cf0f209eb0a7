"""The loop between a strategy and an estimator."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from hwnas.core.errors import FAILURES, HwnasError
from hwnas.core.estimator import Estimator
from hwnas.core.outcome import Outcome
from hwnas.core.profiler import Profiler
from hwnas.core.proposal import Proposal
from hwnas.core.state import dumps, loads
from hwnas.core.strategy import Strategy
from hwnas.pipeline.archive import Archive
from hwnas.track.store import Store

_HOPELESS = 10  # a search whose first trials all fail has a mistake in it


class Driver:
    """Asks, estimates, profiles, tells and commits, until the strategy is done.

    Outcomes are told in the order they were asked for, whatever order they finish in, so the
    search does not depend on timing. A trial is committed with a snapshot at once; training steps
    in between at most every ``interval`` seconds: after a kill they are done again, identically.
    ``sparing`` takes snapshots only as often, which is enough where asking again costs little:
    trials are committed all the same, and not evaluated again.
    """

    def __init__(
        self,
        strategy: Strategy,
        estimator: Estimator,
        profilers: Sequence[Profiler],
        archive: Archive,
        store: Store,
        progress: Callable[[], None] = lambda: None,
        interval: float = 2.0,
        sparing: bool = False,
    ) -> None:
        self._strategy = strategy
        self._estimator = estimator
        self._profilers = profilers
        self._archive = archive
        self._store = store
        self._progress = progress
        self._interval = interval
        self._sparing = sparing
        self._committed = time.monotonic()
        self._steps: list[Outcome] = []  # training steps told since the last commit
        self._diagnostics: list[tuple[int, Mapping[str, float]]] = []  # of those steps
        self._ready: dict[int, Outcome] = {}  # finished before an older proposal
        self._feed = _Feed(self)

    def run(self) -> None:
        """Search until the strategy is done."""
        while not self._strategy.done:
            before = self._strategy.asked, len(self._strategy.pending), self._strategy.progress
            for outcome in self._estimator.estimate(self._feed):
                self.finish(self._complete(outcome))
            after = self._strategy.asked, len(self._strategy.pending), self._strategy.progress
            if before == after and not self._strategy.done:
                raise RuntimeError("the strategy asks for nothing although nothing is pending")
        self._commit([])
        self._check()

    def resume(self) -> None:
        """Go on where the store left off; nothing happens if it is new."""
        snapshot = self._store.snapshot()
        if snapshot is None:
            self._feed.known = {o.proposal.id: o for o in self._store.trials()}
            return
        last, state = snapshot
        self._strategy.load_state_dict(loads(state))
        self._estimator.restore(last)
        pending = self._strategy.pending
        begun = self._strategy.context.next_id
        for outcome in self._store.trials():
            id = outcome.proposal.id
            if id in pending or id >= begun:  # finished, but not told when the snapshot was made
                self._feed.known[id] = outcome
            else:
                self._archive.extend([outcome])
        self._feed.queue = list(pending.values())

    def _complete(self, outcome: Outcome) -> Outcome:
        try:
            for profiler in self._profilers:
                outcome = profiler.complete(outcome)
        except FAILURES as error:
            return replace(outcome, metrics={}, failed=f"{type(error).__name__}: {error}")
        if outcome.failed is None and outcome.proposal.is_trial:
            for objective in self._archive.objectives:
                value = outcome.metrics.get(objective.name)
                if value is None or not math.isfinite(value):
                    return replace(outcome, metrics={}, failed=f"{objective.name} is {value}")
        return outcome

    def finish(self, outcome: Outcome) -> None:
        """Tell an outcome, or keep it until those asked for earlier are told."""
        pending = self._strategy.pending
        self._ready[outcome.proposal.id] = outcome
        told = []
        while pending and (oldest := next(iter(pending))) in self._ready:
            told.append(self._ready.pop(oldest))
            self._strategy.tell([told[-1]])
            self._feed.fill()  # at once: when to ask must not depend on what finishes first
        if told:
            self._record(told)
        elif outcome.proposal.is_trial:
            self._store.commit(trials=[outcome])

    def _record(self, told: list[Outcome]) -> None:
        trials = [o for o in told if o.proposal.is_trial]
        self._steps += [o for o in told if not o.proposal.is_trial]
        if not trials and (found := self._strategy.diagnostics):
            self._diagnostics.append((told[-1].proposal.id, found))
        due = time.monotonic() - self._committed > self._interval
        if due or (trials and not self._sparing):
            self._commit(trials, told[-1].proposal.id)
        elif trials:
            self._store.commit(trials, curve=self._archive.extend(trials))
            self._check()
        self._progress()

    def _commit(self, trials: list[Outcome], last: int | None = None) -> None:
        curve = self._archive.extend(trials)
        last = self._steps[-1].proposal.id if last is None and self._steps else last
        if last is None:
            return
        self._estimator.checkpoint(last)
        snapshot = last, dumps(self._strategy.state_dict())
        self._store.commit(trials, self._steps, curve, snapshot, self._diagnostics)
        self._steps, self._diagnostics = [], []
        self._committed = time.monotonic()
        self._check()

    def _check(self) -> None:
        """Stop a search in which nothing works, with the first reason."""
        trials, failed = self._archive.trials, self._archive.failed
        enough = len(trials) >= _HOPELESS or self._strategy.done
        if trials and enough and failed == len(trials):
            raise HwnasError(
                f"all of the first {failed} candidates failed; the first: {trials[0].failed}",
                "Mend the cause and start a new run.",
            )


class _Feed(Iterator[Proposal]):
    """Proposals for the estimator, as many as it has slots; may have more after an outcome."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.queue: list[Proposal] = []
        self.known: dict[int, Outcome] = {}

    def __next__(self) -> Proposal:
        driver = self._driver
        while True:
            if not self.queue:
                self.fill()
            if not self.queue:
                raise StopIteration
            proposal = self.queue.pop(0)
            known = self.known.pop(proposal.id, None)
            if known is None or known.proposal != proposal:
                return proposal
            driver.finish(known)

    def fill(self) -> None:
        """Ask for as many proposals as there are free slots."""
        strategy = self._driver._strategy
        free = self._driver._estimator.slots - len(strategy.pending)
        if free > 0:
            self.queue += strategy.ask(free)
