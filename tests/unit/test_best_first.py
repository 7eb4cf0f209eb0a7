"""Candidates that are looked for from search to search."""

from collections import Counter
from collections.abc import Sequence
from json import dumps, loads

import numpy as np

from hwnas.core import Architecture, Space
from hwnas.search._best_first import BestFirst
from hwnas.search._candidates import Score
from hwnas.search._seen import Seen
from hwnas.space.moves import every, neighbours
from tests.unit.searching import CELL, TINY, architectures, context, distance


def search(
    width: int = 2, exchanges: int = 50, most: int = 100, seed: int = 0, space: Space = CELL
) -> BestFirst:
    return BestFirst(context(seed=seed, space=space), Seen(), width, exchanges, most)


def near(goal: Architecture, judged: Counter[Architecture] | None = None) -> Score:
    """A score: the fewer choices differ from the goal the better."""

    def score(found: Sequence[Architecture]) -> np.ndarray:
        if judged is not None:
            judged.update(found)
        return np.array([-float(distance(a, goal)) for a in found])

    return score


def test_it_comes_nearer_with_each_search_and_arrives() -> None:
    begin, goal = architectures(CELL, 2)
    look = search(width=1)
    found = [look(near(goal), [begin]) for _ in range(distance(begin, goal))]
    left = [distance(a, goal) for a in found if a is not None]
    assert left == list(range(len(left)))[::-1]


def test_it_leaves_a_top_that_climbs_would_end_on() -> None:
    """All around the top is worse, and the best lies behind."""
    goal = architectures(CELL, 1)[0]
    top = Architecture(dict.fromkeys(goal, "skip_connect"))
    assert distance(top, goal) >= 3

    def score(found: Sequence[Architecture]) -> np.ndarray:
        off = np.array([distance(a, goal) for a in found], float)
        return np.where([a == top for a in found], -1.5, -off)

    look = search()
    assert look(score, [top]) != goal
    assert any(look(score, [top]) == goal for _ in range(12))


def test_it_comes_to_know_all_of_a_small_space() -> None:
    goal = architectures(TINY, 1)[0]
    judged: Counter[Architecture] = Counter()
    look = search(width=1, space=TINY)
    for _ in range(6):
        look(near(goal, judged), [goal])
    assert set(judged) == set(every(TINY))


def test_each_is_opened_once() -> None:
    begin, goal = architectures(CELL, 2)
    look = search(width=3)
    opened: Counter[Architecture] = Counter()
    show = look._near

    def counted(architecture: Architecture) -> list[Architecture]:
        opened[architecture] += 1
        return show(architecture)

    look._near = counted  # type: ignore[method-assign]
    for _ in range(10):
        look(near(goal), [begin])
    assert max(opened.values()) == 1
    assert sum(opened.values()) == 28  # the first time only one is known
    best = sorted(opened, key=lambda a: distance(a, goal))
    assert best[0] == goal


def test_what_was_asked_for_is_opened_but_not_given() -> None:
    goal = architectures(CELL, 1)[0]
    look = search(width=1, most=1)
    look._seen.add(goal)
    best = look(near(goal), [goal])
    assert best is not None
    assert distance(best, goal) == 1
    assert look(near(goal), [goal]) != goal


def test_it_judges_no_more_than_it_says() -> None:
    judged: Counter[Architecture] = Counter()
    begin, goal = architectures(CELL, 2)
    look = search(width=2, exchanges=7, most=10)
    for _ in range(5):
        judged.clear()
        look(near(goal, judged), [begin])
        assert sum(judged.values()) <= 1 + 10 + 2 * 7
        assert max(judged.values()) == 1


def test_the_best_are_kept_for_another_score() -> None:
    begin, goal, other = architectures(CELL, 3)
    look = search(width=1, most=30)
    look(near(goal), [begin])
    known = {begin, *neighbours(CELL, begin)}
    judged: Counter[Architecture] = Counter()
    look(near(other, judged), [])
    assert known <= set(judged)


def test_it_goes_on_where_it_was() -> None:
    begin, goal = architectures(CELL, 2)
    one = search(exchanges=5)
    for _ in range(3):
        one(near(goal), [begin])
    text = dumps(one.state())
    two = search(exchanges=5, seed=4)
    two.load(loads(text))
    assert dumps(two.state()) == text
    two._rng.bit_generator.state = one._rng.bit_generator.state
    assert [one(near(goal), []) for _ in range(4)] == [two(near(goal), []) for _ in range(4)]


def test_there_may_be_none() -> None:
    assert search()(near(architectures(CELL, 1)[0]), []) is None
