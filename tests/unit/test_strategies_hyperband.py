"""Hyperband: the paper's brackets, and who is promoted."""

from fractions import Fraction
from itertools import groupby
from math import ceil, floor

import numpy as np
import pytest

from hwnas.core import HwnasError, Outcome
from hwnas.core.registry import create
from hwnas.search.halving.hyperband import Hyperband
from hwnas.testing import check_strategy
from hwnas.testing.play import Play
from tests.unit.searching import CELL, context

# Li et al. 2018, table 1: R = 81, eta = 3; (n_i, r_i) of brackets s = 4 to 0.
TABLE = [
    [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    [(34, 3), (11, 9), (3, 27), (1, 81)],
    [(15, 9), (5, 27), (1, 81)],
    [(8, 27), (2, 81)],
    [(5, 81)],
]
CYCLE = sum(n for bracket in TABLE for n, _ in bracket)


def rungs(outcomes: list[Outcome]) -> list[list[Outcome]]:
    """Outcomes rung by rung: of the same training in all, and promoted or new."""
    groups = groupby(outcomes, key=lambda o: (o.spent.train, o.proposal.parent is None))
    return [list(group) for _, group in groups]


def sizes(outcomes: list[Outcome]) -> list[tuple[int, int]]:
    return [(len(rung), rung[0].spent.train) for rung in rungs(outcomes)]


@pytest.mark.parametrize("slots", [1, 4])
def test_the_brackets_of_the_paper(slots: int) -> None:
    play = Play(Hyperband(context(2 * CYCLE, units=81)), slots)
    outcomes = play.run()
    assert len(outcomes) == 2 * CYCLE
    assert sizes(outcomes) == [rung for bracket in TABLE for rung in bracket] * 2


@pytest.mark.parametrize("eta", [2, 3, 4, 5])
@pytest.mark.parametrize("units", [1, 2, 4, 8, 9, 16, 25, 27, 64, 100])
def test_brackets_by_exact_arithmetic(units: int, eta: int) -> None:
    last = max(s for s in range(20) if eta**s <= units)
    expected = []
    for s in range(last, -1, -1):
        n = ceil(Fraction(last + 1, s + 1) * eta**s)
        for i in range(s + 1):
            count = floor(Fraction(n, eta**i))
            train = max(1, round(units * Fraction(1, eta ** (s - i))))
            expected.append((max(1, count), train))
    total = sum(n for n, _ in expected)
    outcomes = Play(Hyperband(context(total, units=units), eta=eta)).run()
    merged = [  # brackets whose rungs look alike are told apart by nothing
        (sum(n for n, _ in group), train)
        for train, group in ((t, list(g)) for t, g in groupby(expected, key=lambda e: e[1]))
    ]
    by_training = groupby(outcomes, key=lambda o: o.spent.train)
    assert [(len(list(g)), train) for train, g in by_training] == merged


@pytest.mark.parametrize("objectives", [1, 2])
def test_the_best_are_promoted_and_keep_their_weights(objectives: int) -> None:
    strategy = Hyperband(context(CYCLE, objectives, units=81))
    outcomes = Play(strategy, 4, np.random.default_rng(0)).run()
    told = {o.proposal.id: o for o in outcomes}
    for bracket in TABLE:
        rung = [told.pop(id) for id in list(told)[: bracket[0][0]]]
        for n, train in bracket[1:]:
            children = [told.pop(id) for id in list(told)[:n]]
            parents = {o.proposal.parent for o in children}
            assert parents <= {o.proposal.id for o in rung}
            assert {o.spent.train for o in children} == {train}
            points = {o.proposal.id: o.proposal.point for o in rung}
            assert all(c.proposal.point == points[c.proposal.parent] for c in children)
            kept = [o for o in rung if o.proposal.id in parents]
            halted = [o for o in rung if o.proposal.id not in parents]
            if objectives == 1:
                worst = max(o.metrics["error"] for o in kept)
                assert worst <= min(o.metrics["error"] for o in halted)
            else:
                for lost in halted:  # nobody promoted is dominated by somebody halted
                    assert not any(
                        lost.metrics["error"] < o.metrics["error"]
                        and lost.metrics["flops"] < o.metrics["flops"]
                        for o in kept
                    )
            rung = children


def test_the_inner_strategy_hears_of_full_training_only() -> None:
    heard: list[Outcome] = []
    strategy = Hyperband(context(60), strategy={"name": "aging", "population": 4, "sample": 2})
    inner = strategy._inner
    tell, lost = inner._tell, inner._lost
    inner._tell = lambda o: (heard.append(o), tell(o))[1]  # type: ignore[method-assign]
    inner._lost = lambda o: (heard.append(o), lost(o))[1]  # type: ignore[method-assign]
    Play(strategy).run()
    good = [o for o in heard if o.failed is None]
    assert good
    assert {o.spent.train for o in good} == {9}
    halted = [o for o in heard if o.failed is not None]
    assert halted
    assert all("halted after" in (o.failed or "") for o in halted)


@pytest.mark.parametrize("inner", ["random", "aging", "nsga2"])
def test_around_any_strategy_of_networks(inner: str) -> None:
    small = {} if inner == "random" else {"population": 4}
    small |= {"sample": 2} if inner == "aging" else {}
    check_strategy("hyperband", {"eta": 3, "strategy": {"name": inner, **small}}, CELL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eta": 1}, "eta"),
        ({"strategy": {"name": "darts"}}, "needs mixture"),
        ({"strategy": {"name": "hyperband"}}, "new networks"),
        ({"strategy": {"name": "randon"}}, r"search\.strategy\.name"),
        ({"strategy": {"name": "nsga2", "populaton": 3}}, r"search\.strategy\.populaton"),
    ],
)
def test_mistakes(options: dict[str, object], message: str) -> None:
    config = {"name": "hyperband", **options}
    with pytest.raises(HwnasError, match=message):
        create("strategies", config, "search", context(20))


def test_a_rung_whose_members_all_fail_ends_the_bracket() -> None:
    strategy = Hyperband(context(100))
    # Nine begin in the first bracket; the three promoted all fail, so that the next one opens.
    play = Play(strategy, fails=lambda count: 9 <= count < 12)
    outcomes = play.run(20)
    assert [o.proposal.train for o in outcomes[:13]] == [1] * 9 + [2] * 3 + [3]
    assert outcomes[12].proposal.parent is None
