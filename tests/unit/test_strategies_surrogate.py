"""The surrogate: distances, the process that sums them, and what it asks for."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from hwnas.core import Architecture, HwnasError, Objectives, Space, TensorType
from hwnas.core.state import dumps, loads
from hwnas.search._additive import Additive, Hyperparameters, learn
from hwnas.search._graphs import Network, network
from hwnas.search._layers import Layer
from hwnas.search._paths import Paths, traits
from hwnas.search._similarity import Choices, Counts, chains
from hwnas.search.bayes.surrogate import Surrogate, _likelier
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


def runs(space: Space, length: int = 2) -> Callable[[Architecture], Mapping[Hashable, int]]:
    return lambda architecture: chains(network(space, architecture), length)


# Distances


def test_counts_are_compared_by_intersection_over_union() -> None:
    count = runs(CELL)
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
    apart = Counts(runs(CELL))([line])([line, dead, same, turned, useless])[:, 0]
    assert apart[0] == apart[2] == apart[4] == 0
    assert apart[1] > 0
    assert apart[3] > 0
    # Layers alone do not tell in which order they come.
    assert Counts(runs(CELL, 1))([line])([turned])[0, 0] == 0


def test_a_sketch_has_the_same_architectures_and_tells_the_same_apart() -> None:
    whole = NasBench201(IMAGE, 3, cells=3, channels=2)
    networks = architectures(CELL)
    large = Counts(runs(whole))(networks)(networks)
    small = Counts(runs(whole.sketch()))(networks)(networks)
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


def paths(net: Network, v: int) -> Iterator[tuple[float, list[int]]]:
    """Every way from the input to a layer, and how likely it is from there."""
    if not net.inputs[v]:
        yield 1.0, [v]
    for u in net.inputs[v]:
        for chance, path in paths(net, u):
            yield chance / len(net.inputs[v]), [*path, v]


def test_paths_are_counted_as_if_each_were_walked() -> None:
    for architecture in architectures(CELL, 12):
        net = network(CELL, architecture)
        kinds, found = traits(net)
        walked = list(paths(net, len(net.layers) - 1))
        assert found[0, 0] == pytest.approx(np.log(len(walked)))
        chances = np.array([chance for chance, _ in walked])
        assert chances.sum() == pytest.approx(1)
        labels = [labelled(layer) for layer in net.layers]
        for kind, (mean, deviation, least, most, total) in zip(kinds, found[1:], strict=True):
            numbers = np.array([sum(kind in labels[v] for v in path) for _, path in walked])
            assert mean == pytest.approx(chances @ numbers)
            assert deviation == pytest.approx(np.sqrt(chances @ (numbers - mean) ** 2), abs=1e-6)
            assert (least, most) == (numbers.min(), numbers.max())
            assert total == pytest.approx(np.log1p(sum(kind in label for label in labels)))


def labelled(layer: Layer) -> tuple[Hashable, ...]:
    if layer.kind in ("input", "output", "join"):
        return ()
    return layer.kind, (layer.form, layer.kernel, layer.stride)


def test_distances_of_paths_are_in_deviations_of_the_known() -> None:
    known, others = architectures(CELL, 12), architectures(CELL, 9, seed=1)
    found = Paths(partial(network, CELL))(known)(others)
    kinds = list(dict.fromkeys(k for a in known for k in traits(network(CELL, a))[0]))

    def row(architecture: Architecture) -> np.ndarray:
        own, values = traits(network(CELL, architecture))
        empty = np.zeros(5)
        rest = [values[1 + own.index(k)] if k in own else empty for k in kinds]
        return np.concatenate([values[0], *rest])

    a, b = np.array([row(x) for x in known]), np.array([row(x) for x in others])
    spread = a.std(axis=0)
    told = spread > 1e-9
    assert np.ptp(b[:, ~told], axis=0).max(initial=0) < 1e-9  # so they do not count here
    apart = ((b[:, None, told] - a[:, told]) / spread[told]) ** 2
    np.testing.assert_allclose(found, apart.mean(axis=-1) / 2, atol=1e-12)


def test_no_networks_have_no_distances() -> None:
    known = architectures(CELL, 12)
    for view in (Counts(runs(CELL)), Choices(CELL), Paths(partial(network, CELL))):
        assert view(known)([]).shape == (0, 12)


# The process


def drawn(n: int = 12) -> tuple[list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    points = rng.random((n, 2))
    near = [np.abs(points[:, None, k] - points[None, :, k]) for k in range(2)]
    return near, np.log(0.1 + points[:, 0] ** 2 + 0.01 * rng.random(n))


def logarithm(found: Hyperparameters, near: list[np.ndarray], y: np.ndarray) -> float:
    """Of evidence times prior: the density of values, by another way."""
    quality = np.exp(y.mean() - y) if found.reciprocal else np.ones_like(y)
    seen = -quality if found.reciprocal else y
    noise = found.luck * quality**2 / np.mean(quality**2) + 1e-4
    covariance = found.kernel(near) + np.diag(noise)
    normal = multivariate_normal(np.zeros(len(y)), covariance * seen.var())
    prior = (
        norm.logpdf(np.log(found.variances)).sum()
        + norm(0, 1.5).logpdf(np.log(found.lengths)).sum()
        + norm(-5, 2).logpdf(np.log(found.luck))
    )
    return float(normal.logpdf(seen - seen.mean()) + np.log(quality).sum() + prior)


@pytest.mark.parametrize("reciprocal", [False, True])
def test_what_is_learned_has_the_greatest_evidence(reciprocal: bool) -> None:
    near, y = drawn()
    best = learn(near, y, reciprocal)
    top = logarithm(best, near, y)
    for step in (0.8, 0.95, 1.05, 1.25):
        for k in range(2):
            change = np.where(np.arange(2) == k, step, 1.0)
            for other in (
                replace(best, variances=best.variances * change),
                replace(best, lengths=best.lengths * change),
            ):
                assert logarithm(other, near, y) < top + 1e-4
        assert logarithm(replace(best, luck=best.luck * step), near, y) < top + 1e-4
    # Only what has nothing to do with the process is left out.
    constant = -len(y) / 2 * np.log(2 * np.pi) - 2 * np.log(2 * np.pi) / 2
    constant -= np.log(2 * np.pi) * 3 / 2 + 2 * np.log(1.5) + np.log(2)
    assert best.evidence + constant == pytest.approx(top, rel=1e-6)


def test_the_likelier_of_logarithms_and_reciprocals() -> None:
    x = np.random.default_rng(0).random(60)
    near = [np.abs(x[:, None] - x)]
    even = {True: -np.log(0.1 + 5 * x), False: 5 * x}
    for reciprocal, y in even.items():
        assert _likelier(near, y, True).reciprocal == reciprocal
    assert not _likelier(near, even[True], False).reciprocal


def test_luck_has_twice_the_deviation_that_those_told_show() -> None:
    near, y = drawn()
    far = [d + 1e4 for d in near]
    counted, shown = _likelier(near, y, False), learn(near, y, False)
    _, deviation = Additive(counted, near, y)(far)
    _, other = Additive(shown, near, y)(far)
    more = 3 * shown.luck * y.var()
    np.testing.assert_allclose(deviation**2, other**2 + more)


def test_a_posterior_is_that_of_the_textbook() -> None:
    rng = np.random.default_rng(1)
    x, at = rng.random(8), rng.random(5)
    y = 3 + np.cos(4 * x)
    near, cross = np.abs(x[:, None] - x), np.abs(at[:, None] - x)
    two = Hyperparameters(np.array([2.0, 0.5]), np.array([0.4, 3.0]), 0.01, False, 0.0)
    mean, deviation = Additive(two, [near, near**2], y)([cross, cross**2])
    z = (y - y.mean()) / y.std()

    def kernel(d: np.ndarray) -> np.ndarray:
        return np.asarray(2 * np.exp(-d / 0.4) + 0.5 * np.exp(-(d**2) / 3))

    inverse = np.linalg.inv(kernel(near) + (0.01 + 1e-4) * np.eye(8))
    k = kernel(cross)
    np.testing.assert_allclose(mean, y.mean() + y.std() * k @ inverse @ z)
    left = 2.5 - np.einsum("ij,jk,ik->i", k, inverse, k) + 0.01  # luck is part of it
    np.testing.assert_allclose(deviation, y.std() * np.sqrt(left))


def test_reciprocals_come_back_as_values() -> None:
    near, y = drawn()
    found = replace(learn(near, y, True), luck=1e-9)
    mean, deviation = Additive(found, near, y)(near)
    np.testing.assert_allclose(mean, y, atol=0.05)
    assert deviation.max() < 0.1
    far, unsure = Additive(found, near, y)([d + 1e4 for d in near])
    np.testing.assert_allclose(far, -np.log(np.exp(-y).mean()), atol=1e-6)  # the mean reciprocal
    assert (unsure > 10 * deviation.max()).all()
    assert (mean <= y.max() + 1e-9).all()  # nothing is taken for worse than all


def test_distances_that_do_not_embed_take_more_noise() -> None:
    apart = np.array([[0.0, 3.0, 0.1], [3.0, 0.0, 0.1], [0.1, 0.1, 0.0]])  # no triangle
    two = Hyperparameters(np.ones(1), np.ones(1), 1e-6, False, 0.0)
    assert np.linalg.eigvalsh(two.kernel([apart])).min() < -1e-3
    mean, deviation = Additive(two, [apart], np.array([0.0, 1.0, 2.0]))([apart])
    assert np.isfinite(mean).all() and np.isfinite(deviation).all()


def test_luck_is_the_same_share_of_every_value() -> None:
    rng = np.random.default_rng(0)
    x = np.repeat(np.linspace(0, 1, 20), 5)
    near = [np.abs(x[:, None] - x)]
    y = 2 * x + 0.05 * rng.standard_normal(100)
    for reciprocal in (False, True):
        found = learn(near, y, reciprocal)
        _, deviation = Additive(found, near, y)(near)
        np.testing.assert_allclose(deviation, 0.05, rtol=0.3)


# The search


def test_it_is_better_than_random() -> None:
    def error(strategy: Surrogate | Random) -> float:
        return min(o.metrics["error"] for o in Play(strategy).run())

    ours = [error(Surrogate(context(evaluations=25, objectives=1, seed=seed))) for seed in range(8)]
    theirs = [error(Random(context(evaluations=25, objectives=1, seed=seed))) for seed in range(8)]
    assert all(one < other for one, other in zip(ours, theirs, strict=True))
    assert np.mean(ours) < min(theirs)


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


def test_distances_of_those_told_grow_to_the_same() -> None:
    networks = architectures(CELL, 12)
    values = np.random.default_rng(0).random((12, 1))
    grown, fresh = Surrogate(context()), Surrogate(context())
    for n in (5, 6, 9, 12):
        grown._fit(networks[:n], values[:n], np.random.default_rng(0))
    fresh._fit(networks, values, np.random.default_rng(0))
    for one, other in zip(grown._apart, fresh._apart, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, one.T)


def test_the_cheapest_network_is_asked_for_after_the_random_ones() -> None:
    strategy = Surrogate(context(), startup=3)
    (found,) = strategy._ends(5, 50)
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
    assert other._ends(5, 50) == [found]


def test_an_end_beyond_a_limit_is_not_asked_for() -> None:
    free = context()
    error, flops = free.objectives
    least = min(free.costs(a)["flops"] for a in every(CELL))
    goals = Objectives([error, replace(flops, limit=least / 2)])
    strategy = Surrogate(replace(free, objectives=goals), startup=3)
    random = [o.proposal.point for o in Play(strategy).run(3)]
    assert strategy._ends(5, 50)[0] not in random
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
