"""The contract of search strategies, as checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.objective import Objective, Objectives
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.registry import Component, check_options, find
from hwnas.core.setting import Setting
from hwnas.core.space import Space
from hwnas.core.state import dumps, loads
from hwnas.core.strategy import Strategy
from hwnas.space.replay import build
from hwnas.testing.fakes import FakeEstimator, FakeTask
from hwnas.testing.small import small

WORDS = frozenset({"mixture", "gradient", "second_order", "parent", "inherit"})
"""What a strategy may need and an estimator provide."""

EVALUATIONS = 15
_ROUNDS = 2_000  # a search on so small a budget that takes longer does not end


@dataclass(frozen=True)
class Case:
    """A strategy with its options, in a space."""

    cls: type[Strategy]
    options: Mapping[str, Any]
    space: Space

    def strategy(self, limit: float | None = None, objectives: int = 2, seed: int = 0) -> Strategy:
        """A new one, on the first fake metrics; ``limit`` bounds the first of them."""
        metrics = FakeEstimator(Setting(self.space, FakeTask())).metrics[:objectives]
        first, *others = [Objective(metric) for metric in metrics]
        context = Context(
            self.space,
            Objectives([replace(first, limit=limit), *others]),
            np.random.default_rng(seed),
            units=9,
            evaluations=EVALUATIONS,
            costs=FakeEstimator(Setting(self.space, FakeTask())).costs,
        )
        return self.cls(context, **self.options)


@dataclass
class Play:
    """A search on the fake estimator, that can be stopped and gone on with at any moment.

    ``slots`` proposals are in work; ``order`` draws which of them is told next, the oldest where
    it is None. ``fails`` says of the count of those told before whether the next one fails.
    """

    strategy: Strategy
    slots: int = 1
    order: np.random.Generator | None = None
    fails: Callable[[int], bool] = lambda _: False
    waiting: list[Proposal] = field(default_factory=list)
    told: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        space = self.strategy.context.space
        self.estimator = FakeEstimator(Setting(space, FakeTask()))

    def run(self, tells: int = _ROUNDS) -> list[Outcome]:
        """Go on until the search is done, or has been told of ``tells`` outcomes in all."""
        while not self.strategy.done and len(self.told) < tells:
            if len(self.told) >= _ROUNDS:
                raise AssertionError(f"the search does not end: {_ROUNDS} outcomes were told.")
            self._ask()
            at = 0 if self.order is None else int(self.order.integers(len(self.waiting)))
            self._tell(self.waiting.pop(at))
        return self.told

    def _ask(self) -> None:
        strategy, free = self.strategy, self.slots - len(self.waiting)
        last = strategy.context.next_id
        new = strategy.ask(free) if free else []
        _require(len(new) <= free, f"ask({free}) gave {len(new)} proposals.")
        for proposal in new:
            _require(proposal.id >= last, f"id {proposal.id} is not larger than those before.")
            last = proposal.id + 1
            self._check(proposal)
        self.waiting += new
        _require(
            bool(self.waiting),
            "it asks for nothing although nothing is pending and it is not done.",
        )

    def _check(self, proposal: Proposal) -> None:
        if isinstance(proposal.point, Architecture):
            build(self.strategy.context.space, proposal.point)
        parent = proposal.parent
        _require(
            parent is None or any(o.proposal.id == parent and o.failed is None for o in self.told),
            f"the parent {parent} of proposal {proposal.id} has no weights.",
        )

    def _tell(self, proposal: Proposal) -> None:
        (outcome,) = self.estimator.estimate([proposal])
        if self.fails(len(self.told)):
            outcome = Outcome(proposal, failed="chosen to fail")
        self.told.append(outcome)
        self.strategy.tell([outcome])
        done, total = self.strategy.progress
        _require(0 <= done <= total, f"progress is {done} of {total}.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _trail(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    return [o.proposal.to_json() for o in outcomes]


def check_description(case: Case) -> None:
    """Summary, paper and needs are there, and needs are words that estimators know."""
    component = Component("", "", case.cls)
    _require(bool(component.summary), "it has no docstring.")
    _require(bool(component.paper), "it names no paper.")
    for name, words in (("needs", case.cls.needs), ("required", case.strategy().required)):
        _require(isinstance(words, frozenset), f"{name} is no frozenset but {words!r}.")
        _require(words <= WORDS, f"{name} has {sorted(words - WORDS)}, known are {sorted(WORDS)}.")
    _require(case.cls.needs <= case.strategy().required, "required leaves out some of needs.")


def check_end(case: Case) -> None:
    """It ends within its budget with a trial at least, and then asks for nothing more."""
    strategy = case.strategy()
    outcomes = Play(strategy).run()
    trials = sum(o.proposal.is_trial for o in outcomes)
    _require(1 <= trials <= EVALUATIONS, f"{trials} trials of a budget of {EVALUATIONS}.")
    _require(strategy.ask(3) == [], "it asks for more although it is done.")
    ids = [o.proposal.id for o in outcomes]
    _require(len(set(ids)) == len(ids), "two proposals have the same id.")


def check_repetition(case: Case) -> None:
    """The same seed gives the same search, whatever the global random state is."""
    kept = np.random.get_state()  # noqa: NPY002 - this is what it must not depend on
    try:
        np.random.seed(1)  # noqa: NPY002
        first = Play(case.strategy(seed=5)).run()
        np.random.seed(2)  # noqa: NPY002
        second = Play(case.strategy(seed=5)).run()
    finally:
        np.random.set_state(kept)  # noqa: NPY002
    _require(_trail(first) == _trail(second), "the same seed gave another search.")


def check_slots(case: Case) -> None:
    """It works with 1, 3 and 8 proposals in work, told in any order."""
    for slots in (1, 3, 8):
        for seed in range(3):
            Play(case.strategy(seed=seed), slots, np.random.default_rng(seed)).run()


def check_failures(case: Case) -> None:
    """It ends although every other, or every candidate fails."""
    for slots in (1, 3):
        Play(case.strategy(), slots, fails=lambda count: count % 2 == 0).run()
        Play(case.strategy(), slots, fails=lambda count: count % 2 == 1).run()
        Play(case.strategy(), slots, fails=lambda _: True).run()


def check_objectives(case: Case) -> None:
    """It works with one objective, with three, and with a limit that nobody meets."""
    for objectives in (1, 2, 3):
        Play(case.strategy(objectives=objectives)).run()
        Play(case.strategy(limit=-1.0, objectives=objectives)).run()


def check_mistakes(case: Case) -> None:
    """Asking for none, and telling twice or what was not asked for, are errors."""
    strategy = case.strategy()
    play = Play(strategy)
    (outcome,) = play.run(1)
    _require(_refuses(lambda: strategy.ask(0)), "ask(0) is accepted.")
    _require(_refuses(lambda: strategy.tell([outcome])), "an outcome is accepted twice.")
    stranger = Outcome(replace(outcome.proposal, id=10**9), outcome.metrics)
    _require(_refuses(lambda: strategy.tell([stranger])), "what was not asked for is accepted.")
    play.run()


def _refuses(action: Callable[[], object]) -> bool:
    try:
        action()
    except HwnasError:
        return True
    return False


def check_snapshot(case: Case) -> None:
    """A snapshot at any moment, loaded into a new object, goes on as the first one does."""
    rng = np.random.default_rng(0)
    for slots in (1, 3):
        outcomes = _play(case, slots).run()
        expected, total = _trail(outcomes), len(outcomes)
        first = _play(case, slots)
        saved = []
        for moment in sorted({0, 1, total - 1, *rng.integers(total, size=4).tolist()}):
            first.run(moment)
            order = None if first.order is None else first.order.bit_generator.state
            play = list(first.waiting), list(first.told), order
            saved.append((moment, dumps(first.strategy.state_dict()), play))
        _require(
            _trail(first.run()) == expected,
            f"the search goes on otherwise if snapshots of it are taken ({slots} in work).",
        )
        for moment, text, (waiting, told, order) in saved:
            second = _play(case, slots)
            second.strategy = case.strategy(seed=99)
            second.strategy.load_state_dict(loads(text))
            again = dumps(second.strategy.state_dict())
            _require(
                again == text, f"a snapshot after {moment} outcomes changes when it is loaded."
            )
            second.waiting, second.told, second.estimator = waiting, told, first.estimator
            if second.order is not None and order is not None:
                second.order.bit_generator.state = order
            _require(
                sorted(second.strategy.pending) == sorted(p.id for p in waiting),
                "the snapshot does not hold what is pending.",
            )
            _require(
                _trail(second.run()) == expected,
                f"one that loads it goes on otherwise after a snapshot at {moment} outcomes"
                f" ({slots} in work).",
            )


def _play(case: Case, slots: int) -> Play:
    order = None if slots == 1 else np.random.default_rng(7)
    return Play(case.strategy(seed=3), slots, order, lambda count: count % 5 == 4)


STRATEGY_CHECKS: tuple[Callable[[Case], None], ...] = (
    check_description,
    check_end,
    check_repetition,
    check_slots,
    check_failures,
    check_objectives,
    check_mistakes,
    check_snapshot,
)


def strategy_case(
    strategy: str | type[Strategy], options: Mapping[str, Any] | None, space: Space
) -> Case:
    """The case of a strategy; ``options`` None makes it small.

    Raises :class:`HwnasError` if it does not fit the space or the options.
    """
    cls = find("strategies", strategy, "strategy").cls if isinstance(strategy, str) else strategy
    given = small(cls) if options is None else options
    case = Case(cls, check_options(cls, given, "search"), space)
    case.strategy()
    return case


def check_strategy(
    strategy: str | type[Strategy], options: Mapping[str, Any] | None, space: Space
) -> None:
    """Raise AssertionError, saying what is wrong, if a strategy breaks its contract.

    ``options`` None stands for small ones. Raises :class:`HwnasError` if the strategy does not
    fit the space or the options.
    """
    case = strategy_case(strategy, options, space)
    for check in STRATEGY_CHECKS:
        check(case)
