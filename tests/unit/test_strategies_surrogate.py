"""The surrogate: distances, averaged processes, and what it asks for."""

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from hwnas.core import Architecture, HwnasError, Objectives, TensorType
from hwnas.core.state import dumps, loads
from hwnas.search._averaging import LENGTHS, NOISES, Posterior, weigh
from hwnas.search._similarity import Choices, Counts, chains
from hwnas.search.bayes.surrogate import Surrogate
from hwnas.search.random import Random
from hwnas.space.chain import Chain
from hwnas.space.moves import choices, every
from hwnas.space.nas_bench_201 import NasBench201, from_string
from hwnas.testing.play import Play
from tests.unit import searching
from tests.unit.searching import CELL, architectures

IMAGE = TensorType((1, 4, 4))


context = partial(searching.context, evaluations=40, objectives=2, units=1)


def cell(*ops: str) -> Architecture:
    a, b, c, d, e, f = ops
    return from_string(f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|")


# Distances


def test_counts_are_compared_by_intersection_over_union() -> None:
    count = chains(CELL, 2)
    known, others = architectures(CELL, 12), architectures(CELL, 9, seed=1)
    found = Counts(count)(known)(others)
    for i, a in enumerate(others):
        for j, b in enumerate(known):
            one, other = Counter(count(a)), Counter(count(b))
            share = (one & other).total() / (one | other).total()
            assert found[i, j] == pytest.approx(1 - share)


def test_nothing_to_count_is_the_same() -> None:
    one, other = architectures(CELL, 2)
    counts = {one: {"a": 2}, other: dict[str, int]()}
    distance = Counts(counts.__getitem__)
    np.testing.assert_array_equal(distance([one, other])([one, other]), [[0, 1], [1, 0]])


def test_what_does_nothing_is_not_seen_and_order_is() -> None:
    conv, pool, skip, none = "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none"
    line = cell(conv, none, pool, none, none, skip)
    dead = cell(conv, conv, pool, none, none, skip)  # a second input to the sum: not dead
    same = cell(conv, none, skip, none, pool, none)
    turned = cell(pool, none, conv, none, none, skip)
    useless = cell(conv, none, none, none, pool, conv)  # node 2 has nothing to read
    apart = Counts(chains(CELL, 2))([line])([line, dead, same, turned, useless])[:, 0]
    assert apart[0] == apart[2] == apart[4] == 0
    assert apart[1] > 0
    assert apart[3] > 0
    # Layers alone do not tell in which order they come.
    assert Counts(chains(CELL, 1))([line])([turned])[0, 0] == 0


def test_a_sketch_has_the_same_architectures_and_tells_the_same_apart() -> None:
    whole = NasBench201(IMAGE, 3, cells=3, channels=2)
    networks = architectures(CELL)
    large = Counts(chains(whole, 2))(networks)(networks)
    small = Counts(chains(whole.sketch(), 2))(networks)(networks)
    np.testing.assert_array_equal(large == 0, small == 0)
    assert np.corrcoef(large.ravel(), small.ravel())[0, 1] > 0.95


def brute(a: Architecture, b: Architecture) -> float:
    """A choice with other options is another choice."""
    one, other = ({(c.name, c.options): m[c.name] for c in choices(CHAIN, m)} for m in (a, b))
    total = 0.0
    for name, options in {**one, **other}:
        key = name, options
        if key not in one or key not in other:
            total += 1
        elif all(isinstance(o, int | float) for o in options):
            apart = options.index(one[key]) - options.index(other[key])  # type: ignore[arg-type]
            total += abs(apart) / (len(options) - 1)
        else:
            total += one[key] != other[key]
    return total / len({**one, **other})


CHAIN = Chain(IMAGE, 3)


def test_choices_are_compared_where_either_has_them() -> None:
    networks = architectures(CHAIN, 20)
    found = Choices(CHAIN)(networks[:12])(networks[12:])
    expected = [[brute(a, b) for b in networks[:12]] for a in networks[12:]]
    np.testing.assert_allclose(found, expected)


# Processes


def test_the_weights_are_the_evidence() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((9, 2))
    distances = [np.abs(points[:, None, k] - points[None, :, k]) for k in range(2)]
    y = np.sin(5 * points[:, 0])
    members = weigh(distances, y)
    z = (y - y.mean()) / y.std()
    evidence = {}
    for view, d in enumerate(distances):
        for length in LENGTHS:
            for noise in NOISES:
                kernel = np.exp(-d / length) + noise * np.eye(9)
                variance = z @ np.linalg.solve(kernel, z) / 9
                evidence[view, length, noise] = multivariate_normal(
                    np.zeros(9), variance * kernel
                ).logpdf(z)
    weights = {m: np.exp(e) for m, e in evidence.items()}
    kept = {m: w for m, w in weights.items() if w >= 0.02 * sum(weights.values())}
    assert set(members) == set(kept)
    for member, weight in members.items():
        assert weight == pytest.approx(kept[member] / sum(kept.values()), rel=1e-6)
    assert sum(weight for (view, *_), weight in members.items() if view == 0) > 0.9


def test_a_posterior_is_that_of_the_textbook() -> None:
    rng = np.random.default_rng(1)
    x, at = rng.random(8), rng.random(5)
    y = 3 + np.cos(4 * x)
    near, cross = np.abs(x[:, None] - x), np.abs(at[:, None] - x)
    mean, deviation = Posterior({(0, 0.4, 0.01): 1.0}, [near], y)([cross])
    z = (y - y.mean()) / y.std()
    inverse = np.linalg.inv(np.exp(-near / 0.4) + 0.01 * np.eye(8))
    k = np.exp(-cross / 0.4)
    variance = z @ inverse @ z / 8
    np.testing.assert_allclose(mean, y.mean() + y.std() * k @ inverse @ z)
    left = variance * (1 - np.einsum("ij,jk,ik->i", k, inverse, k))
    np.testing.assert_allclose(deviation, y.std() * np.sqrt(left))


def test_members_that_disagree_are_less_sure() -> None:
    x = np.linspace(0, 1, 6)
    near = np.abs(x[:, None] - x)
    single = {m: Posterior({m: 1.0}, [near], x**2)([near + 0.3]) for m in MEMBERS}
    mean, deviation = Posterior(dict.fromkeys(MEMBERS, 0.5), [near], x**2)([near + 0.3])
    means = np.array([m for m, _ in single.values()])
    deviations = np.array([d for _, d in single.values()])
    np.testing.assert_allclose(mean, means.mean(axis=0))
    np.testing.assert_allclose(deviation**2, (deviations**2).mean(axis=0) + means.var(axis=0))


MEMBERS = [(0, 0.1, 1e-3), (0, 1.6, 1e-1)]


# The search


def test_it_is_better_than_random() -> None:
    def error(strategy: Surrogate | Random) -> float:
        return min(o.metrics["error"] for o in Play(strategy).run())

    ours = [error(Surrogate(context(evaluations=25, objectives=1, seed=seed))) for seed in range(3)]
    theirs = [error(Random(context(evaluations=25, objectives=1, seed=seed))) for seed in range(3)]
    assert max(ours) < min(theirs)


def test_a_search_that_is_resumed_asks_for_the_same() -> None:
    first = Surrogate(context(), startup=4, candidates=8, searches=1)
    play = Play(first, 2, np.random.default_rng(0))
    play.run(14)
    text = dumps(first.state_dict())
    second = Surrogate(context(seed=5), startup=4, candidates=8, searches=1)
    second.load_state_dict(loads(text))
    assert dumps(second.state_dict()) == text
    rest = Play(second, 2, np.random.default_rng(0))
    for one, other in zip(first.ask(3), second.ask(3), strict=True):
        assert one.point == other.point
    assert rest.strategy is second


@pytest.mark.parametrize("option", ["searches", "neighbours", "startup", "candidates"])
def test_mistakes(option: str) -> None:
    with pytest.raises(HwnasError, match=rf"search\.{option}: must be at least 1, got 0"):
        Surrogate(context(), **{option: 0})


# What costs nothing to know


def test_what_was_told_the_same_twice_is_certain() -> None:
    conv, skip, none = "nor_conv_3x3", "skip_connect", "none"
    dead = [cell(op, none, none, none, none, none) for op in (conv, skip, none, "avg_pool_3x3")]
    live = [cell(op, none, skip, none, skip, skip) for op in (conv, skip, "nor_conv_1x1")]
    twin = cell(none, none, conv, skip, none, none), cell(none, conv, none, skip, none, none)
    strategy = Surrogate(context())
    told = [dead[0], dead[1], *live, twin[0]]
    values = np.array([0.9, 0.9, 0.3, 0.5, 0.4, 0.6])[:, None]
    predict = strategy._fit(told, values, np.random.default_rng(0))
    mean, deviation = predict([dead[2], dead[3], twin[1]])
    assert mean[:2].tolist() == [[0.9], [0.9]]
    assert deviation[:2].tolist() == [[0.0], [0.0]]
    assert deviation[2] > 0  # told once: it may have been luck


def test_the_cheapest_network_is_asked_for_after_the_random_ones() -> None:
    strategy = Surrogate(context(), startup=3)
    (found,) = strategy._cheapest(50)
    flops = {a: strategy.context.costs(a)["flops"] for a in every(CELL)}
    assert flops[found] == min(flops.values())
    asked = [p.point for p in strategy.ask(3)]
    assert found not in asked
    again = Surrogate(context(), startup=3)
    told = [o.proposal.point for o in Play(again).run(5)]
    assert told[:4] == [*asked, found]
    assert told[4] != found
    other = Surrogate(context())
    other._seed = strategy._seed
    assert other._cheapest(50) == [found]


def test_an_end_beyond_a_limit_is_not_asked_for() -> None:
    free = context()
    error, flops = free.objectives
    least = min(free.costs(a)["flops"] for a in every(CELL))
    goals = Objectives([error, replace(flops, limit=least / 2)])
    strategy = Surrogate(replace(free, objectives=goals), startup=3)
    random = [o.proposal.point for o in Play(strategy).run(3)]
    assert strategy._cheapest(50)[0] not in random
    strategy._best = lambda _: random[0]  # type: ignore[method-assign]
    assert strategy.ask(1)[0].point == random[0]
    assert strategy._known().shape == (0, 1)  # nothing keeps the limit


def test_what_is_dearer_than_all_told_may_be_worth_asking_for() -> None:
    strategy = Surrogate(context(), startup=2)
    flops = {a: strategy.context.costs(a)["flops"] for a in every(CELL)}
    told = np.array([[0.5, min(flops.values())], [0.4, 1.1 * min(flops.values())]])
    low, high = strategy._range(told)
    assert low.tolist() == [0.4, min(flops.values())]
    assert high[0] == 0.5  # of what is expensive nothing else is known
    assert high[1] >= np.quantile(list(flops.values()), 0.9)
    again = Surrogate(context())
    again._seed = strategy._seed
    assert again._range(told)[1].tolist() == high.tolist()
