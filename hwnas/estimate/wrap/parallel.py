"""An estimator in several processes."""

import multiprocessing
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from hwnas.core.errors import HwnasError
from hwnas.core.estimator import Estimator
from hwnas.core.metric import Metric
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.registry import create
from hwnas.core.setting import Setting

_worker: Estimator  # the estimator of a worker process


def _begin(setting: Setting, config: Mapping[str, Any]) -> None:
    global _worker  # noqa: PLW0603 - a process pool has no other place for it
    _worker = create("estimators", config, "search.estimator", setting)


def _work(proposal: Proposal) -> Outcome:
    return next(iter(_worker.estimate([proposal])))


class Parallel(Estimator):
    """``workers`` processes, each with the configured estimator and its share of the threads.

    Twice as many slots as workers, so that none is idle while the oldest outcome is waited for.
    A proposal during which a worker dies is tried once more, alone; then it has failed.
    """

    def __init__(self, setting: Setting, config: Mapping[str, Any], workers: int) -> None:
        super().__init__(setting)
        self._args = (setting, config)
        self._workers = workers
        inner: Estimator = create("estimators", config, "search.estimator", setting)
        if not inner.divisible:
            raise HwnasError(
                f"search.workers: {workers} processes cannot share the weights of estimator"
                f" {config['name']}.",
                "Use workers: 1, or an estimator that trains networks alone, such as train.",
            )
        self._metrics = inner.metrics
        self.provides = inner.provides
        self.units = inner.units
        self.slots = 2 * workers
        self._pool = self._start()

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those of the estimator."""
        return self._metrics

    def _start(self) -> ProcessPoolExecutor:
        spawn = multiprocessing.get_context("spawn")  # a fork would copy running threads
        return ProcessPoolExecutor(self._workers, spawn, _begin, self._args)

    def estimate(self, proposals: Iterable[Proposal]) -> Iterator[Outcome]:
        """As they finish; proposals are pulled whenever a worker is free."""
        source = iter(proposals)
        running: dict[Future[Outcome], Proposal] = {}
        while True:
            while len(running) < self._workers and (new := next(source, None)) is not None:
                running[self._submit(new)] = new
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                suspects = list(running.values())
                running.clear()
                yield from map(self._retry, suspects)
            for future in done & running.keys():
                del running[future]
                yield future.result()

    def _submit(self, proposal: Proposal) -> Future[Outcome]:
        try:
            return self._pool.submit(_work, proposal)
        except BrokenProcessPool as error:  # a worker died meanwhile: what is running tells
            broken: Future[Outcome] = Future()
            broken.set_exception(error)
            return broken

    def _retry(self, proposal: Proposal) -> Outcome:
        """Evaluate alone, in a new pool, what may have killed a worker."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._start()
        try:
            return self._pool.submit(_work, proposal).result()
        except BrokenProcessPool:
            self._pool = self._start()
            return Outcome(proposal, failed="the worker process died twice: out of memory?")

    def _estimate(self, proposal: Proposal) -> Outcome:
        return self._pool.submit(_work, proposal).result()

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)
