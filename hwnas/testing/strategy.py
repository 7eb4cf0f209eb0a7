"""The contract of search strategies, as checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hwnas.core.errors import HwnasError
from hwnas.core.outcome import Outcome
from hwnas.core.registry import Component
from hwnas.core.space import Space
from hwnas.core.state import dumps, loads
from hwnas.core.strategy import Strategy
from hwnas.testing._require import require
from hwnas.testing.case import EVALUATIONS, Case, strategy_case
from hwnas.testing.play import Play

WORDS = frozenset({"mixture", "gradient", "second_order", "parent", "inherit", "shared"})
"""What a strategy may need and an estimator provide."""


def _trail(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    return [o.proposal.to_json() for o in outcomes]


def check_description(case: Case) -> None:
    """Summary, paper and needs are there, and needs are words that estimators know."""
    component = Component("", "", case.cls)
    require(bool(component.summary), "it has no docstring.")
    require(bool(component.paper), "it names no paper.")
    for name, words in (("needs", case.cls.needs), ("required", case.strategy().required)):
        require(isinstance(words, frozenset), f"{name} is no frozenset but {words!r}.")
        require(words <= WORDS, f"{name} has {sorted(words - WORDS)}, known are {sorted(WORDS)}.")
    require(case.cls.needs <= case.strategy().required, "required leaves out some of needs.")


def check_end(case: Case) -> None:
    """It ends within its budget with a trial at least, and then asks for nothing more."""
    strategy = case.strategy()
    outcomes = Play(strategy).run()
    trials = sum(o.proposal.is_trial for o in outcomes)
    require(1 <= trials <= EVALUATIONS, f"{trials} trials of a budget of {EVALUATIONS}.")
    require(strategy.ask(3) == [], "it asks for more although it is done.")
    ids = [o.proposal.id for o in outcomes]
    require(len(set(ids)) == len(ids), "two proposals have the same id.")


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
    require(_trail(first) == _trail(second), "the same seed gave another search.")


def check_slots(case: Case) -> None:
    """It works with 3 and 8 proposals in work, as with the one of check_end, told in any order."""
    for slots in (3, 8):
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
    for objectives in (1, 3):  # with two of them are all the other checks
        Play(case.strategy(objectives=objectives)).run()
    for objectives in (1, 2, 3):
        Play(case.strategy(limit=-1.0, objectives=objectives)).run()


def check_mistakes(case: Case) -> None:
    """Asking for none, and telling twice or what was not asked for, are errors."""
    strategy = case.strategy()
    play = Play(strategy)
    (outcome,) = play.run(1)
    require(_refuses(lambda: strategy.ask(0)), "ask(0) is accepted.")
    require(_refuses(lambda: strategy.tell([outcome])), "an outcome is accepted twice.")
    stranger = Outcome(replace(outcome.proposal, id=10**9), outcome.metrics)
    require(_refuses(lambda: strategy.tell([stranger])), "what was not asked for is accepted.")
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
        require(
            _trail(first.run()) == expected,
            f"the search goes on otherwise if snapshots of it are taken ({slots} in work).",
        )
        for moment, text, (waiting, told, order) in saved:
            second = _play(case, slots)
            second.strategy = case.strategy(seed=99)
            second.strategy.load_state_dict(loads(text))
            again = dumps(second.strategy.state_dict())
            require(again == text, f"a snapshot after {moment} outcomes changes when it is loaded.")
            second.waiting, second.told, second.estimator = waiting, told, first.estimator
            if second.order is not None and order is not None:
                second.order.bit_generator.state = order
            require(
                sorted(second.strategy.pending) == sorted(p.id for p in waiting),
                "the snapshot does not hold what is pending.",
            )
            require(
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
