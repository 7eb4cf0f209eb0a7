"""PNAS and its surrogate do what the paper says."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from hwnas.core import (
    Architecture,
    Context,
    HwnasError,
    Metric,
    Objective,
    Objectives,
    Outcome,
    Space,
    TensorType,
)
from hwnas.core.space import Pick
from hwnas.core.state import dumps, loads
from hwnas.graph.graph import Graph
from hwnas.graph.ops.linear import Linear
from hwnas.search._models.sequence_ensemble import fit
from hwnas.search.growth._blocks import Partial, blocks, grown, place, plain, sentence
from hwnas.search.growth.pnas import PNAS
from hwnas.space.chain import Chain
from hwnas.space.darts import Darts
from hwnas.space.moves import choices, every, sample
from hwnas.space.replay import build
from tests.unit.searching import CELL, play
from tests.unit.words import Words

IMAGE = TensorType((1, 4, 4))
OPS = ["conv", "skip", "none", "pool"]
WORTH = {"conv": 0.0, "pool": 0.3, "skip": 0.5, "none": 1.0}
RNG = np.random.default_rng


class Conditional(Space):
    """As many layers as the first choice says, a type each, and for one type a size."""

    def __init__(self) -> None:
        super().__init__(TensorType((1,)), 3)

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        for i in range(pick("depth", [3, 1, 2])):
            if pick(f"layer{i}.type", ["conv", "skip"]) == "conv":
                pick(f"layer{i}.size", [5, 3])
        pick.inputs("out", dict.fromkeys(range(3), g.input), 2)
        return g.finish(g.add("classifier", Linear(self.outputs), g.input))


def cells(nodes: int) -> Words:
    return Words(**{f"cell.{i}.{slot}": OPS for i in range(nodes) for slot in ("left.op", "right")})


def additive(architecture: Mapping[str, Any]) -> float:
    """Of blocks, positive, without ties."""
    return 1.0 + sum(
        WORTH[str(v)] * (1 + 0.1 * i + 0.01 * i * i) for i, v in enumerate(architecture.values())
    )


def error(architecture: Architecture) -> Mapping[str, float]:
    return {"error": additive(architecture), "flops": flops(architecture)}


def flops(architecture: Mapping[str, Any]) -> float:
    return 1.0 + sum(
        (v == "conv") * (7 + i) + (v == "pool") for i, v in enumerate(architecture.values())
    )


def context(space: Space, evaluations: int = 10_000, seed: int = 0, objectives: int = 1,
            limit: float | None = None) -> Context:  # fmt: skip
    goals = [Objective(Metric("error")), Objective(Metric("flops", cheap=True), limit)]
    costs = lambda a: {"flops": flops(a)}  # noqa: E731
    chosen = Objectives(goals[:objectives])
    return Context(space, chosen, RNG(seed), units=9, evaluations=evaluations, costs=costs)


class Knowing(PNAS):
    """Its surrogate is never wrong."""

    paper = "none"

    def _fit(self, architectures: Any, values: Any, rng: Any) -> Any:
        def predict(networks: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
            truth = np.log([[error(network)["error"]] for network in networks])
            return truth, np.zeros_like(truth)

        return predict


# blocks


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("0-3", ("3", "0", "")),
        ("level2.motif0.1-3", ("level2.motif0.3", "1", "")),
        ("normal.2.left.op", ("normal.2", "left.op", "op")),
        ("layer0.kernel", ("layer0", "kernel", "kernel")),
        ("stage1/layer0", ("stage1", "layer0", "layer")),
        ("0.0.op", ("0", "0.op", "op")),
        ("depth", ("depth", "", "depth")),
    ],
)
def test_names_tell_blocks(name: str, expected: tuple[str, str, str]) -> None:
    assert place(name) == expected


def test_the_cell_of_nas_bench_201_has_a_block_a_node() -> None:
    network = sample(CELL, RNG(0))
    runs = [[c.name for c in block] for block in blocks(CELL, network)]
    assert runs == [["0-1"], ["0-2", "1-2"], ["0-3", "1-3", "2-3"]]
    assert set(Partial.root(CELL).architecture.values()) == {"skip_connect"}


@pytest.mark.parametrize("space", [Conditional(), cells(2), Words(a=(4, 2), b=[3, 1])])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_growing_leads_to_every_network_once(space: Space, steps: int) -> None:
    """And what is on the way is a network too, whose choices not made are plain."""
    level, whole = [Partial.root(space)], []
    for step in range(steps):
        level = [c for p in level for c in grown(space, p, steps - step, 10**6, RNG(0))]
        for child in level:
            build(space, child.architecture)
            rest = choices(space, child.architecture)[child.decided :]
            assert all(child.architecture[c.name] == plain(c) for c in rest)
        assert len(set(level)) == len(level)
        whole += [child.architecture for child in level if child.whole]
        level = [child for child in level if not child.whole]
    assert not level
    assert len(set(whole)) == len(whole)
    assert set(whole) == set(every(space))


def test_a_step_decides_one_block_and_keeps_the_others() -> None:
    space = cells(3)
    (first,) = grown(space, Partial.root(space), 3, 1, RNG(1))
    assert first.decided == 2
    children = grown(space, first, 2, 100, RNG(1))
    assert len(children) == 16
    for child in children:
        values = list(child.architecture.values())
        assert values[:2] == list(first.architecture.values())[:2]
        assert values[4:] == ["skip", "skip"]
    assert len(grown(space, first, 2, 10, RNG(1))) <= 10


def test_many_blocks_are_grown_several_at_a_time() -> None:
    space = cells(5)
    parent, sizes = Partial.root(space), []
    for left in (3, 2, 1):
        parent = grown(space, parent, left, 1, RNG(0))[0]
        sizes.append(parent.decided)
    assert sizes == [4, 8, 10]


# the surrogate


def _drawn(n: int, decided: int, seed: int, options: Sequence[str] = OPS) -> list[Architecture]:
    """Networks of three nodes, the first ``decided`` choices random, the others plain."""
    names, rng = list(cells(3).choices), RNG(seed)
    drawn = ([*rng.choice(options, decided).tolist()] + ["skip"] * (6 - decided) for _ in range(n))
    networks = (Architecture(dict(zip(names, values, strict=True))) for values in drawn)
    return list(dict.fromkeys(networks))


def _learned(recurrent: bool, data: list[Architecture], seed: int = 0) -> Any:
    space = cells(3)
    values = np.array([[additive(a)] for a in data])
    predict = fit([sentence(space, a) for a in data], values, seed, recurrent)
    return lambda networks: predict([sentence(space, a) for a in networks])


@pytest.mark.parametrize("recurrent", [False, True])
def test_the_surrogate_predicts_networks_of_one_block_more(recurrent: bool) -> None:
    data, larger = _drawn(50, 4, 0), _drawn(100, 6, 1)
    predict = _learned(recurrent, data)
    mean, _ = predict(larger)
    truth = [additive(a) for a in larger]
    assert spearmanr(mean[:, 0], truth).statistic > 0.75
    # not by what the first blocks alone would say
    prefix = Architecture(dict.fromkeys(cells(3).choices, "skip"))
    last = [Architecture({**prefix, "cell.2.left.op": op, "cell.2.right": op}) for op in OPS]
    assert np.argmin(predict(last)[0][:, 0]) == OPS.index("conv")


def test_the_members_differ_more_the_farther_from_the_data() -> None:
    """The far ones have an option at several places that was never seen."""
    data, far = _drawn(60, 6, 2, OPS[:3]), _drawn(60, 6, 3, [*OPS[:2], OPS[3]])
    far = [a for a in far if list(a.values()).count("pool") > 1]
    near, away = (_learned(False, data)(networks)[1] for networks in (data, far))
    assert near.min() > 0
    assert away.mean() > 3 * near.mean()


@pytest.mark.parametrize("recurrent", [False, True])
def test_the_surrogate_is_a_function_of_data_and_seed(recurrent: bool) -> None:
    """Not of what it was asked before, nor of the order or number of the networks."""
    data, other = _drawn(30, 4, 0), _drawn(300, 6, 1)
    one, two = _learned(recurrent, data), _learned(recurrent, data)
    one(data)
    mean, deviation = one(other)
    for i in (0, 3, len(other) - 1):
        alone, spread = two(other[i : i + 1])
        assert alone[0] == pytest.approx(mean[i], abs=1e-5)
        assert spread[0] == pytest.approx(deviation[i], abs=1e-5)
    assert not np.allclose(_learned(recurrent, data, seed=1)(other)[0], mean)


def test_sequences_of_different_length_do_not_disturb_each_other() -> None:
    space = Conditional()
    networks = list(every(space))
    sentences = [sentence(space, a) for a in networks]
    predict = fit(sentences, RNG(0).random((len(networks), 2)), 0, recurrent=True)
    together, _ = predict(sentences)
    assert together.shape == (len(networks), 2)
    for i in (0, len(networks) - 1):
        assert predict(sentences[i : i + 1])[0][0] == pytest.approx(together[i], abs=1e-5)


# the search


def test_the_beam_is_that_of_an_exhaustive_computation() -> None:
    names, pairs = list(cells(3).choices), list(product(OPS, OPS))

    def network(*decided: Any) -> Architecture:
        values = [v for pair in decided for v in pair]
        return Architecture(dict(zip(names, values + ["skip"] * (6 - len(values)), strict=True)))

    strategy = Knowing(context(cells(3)), beam=20)
    beam: list[tuple[Any, ...]] = [(pair,) for pair in pairs]
    trained = [network(*b) for b in beam]
    for _ in range(2):
        pool = [(*b, pair) for b in beam for pair in pairs]
        beam = sorted(pool, key=lambda b: additive(network(*b)))[:20]
        trained += [new for b in beam if (new := network(*b)) not in trained]
    told = play(strategy, error, len(trained))
    assert set(told[:16]) == set(trained[:16])
    assert set(told) == set(trained)


def test_with_two_objectives_the_beam_holds_the_front() -> None:
    strategy = Knowing(context(cells(2), objectives=2), beam=40)
    told = play(strategy, error, 60)
    values = {a: np.array([*error(a).values()]) for a in every(cells(2))}
    front = {
        a
        for a, v in values.items()
        if not any((w <= v).all() and (w < v).any() for w in values.values())
    }
    assert 5 < len(front) < 40
    assert front <= set(told)


def test_it_finds_the_best_of_a_large_space() -> None:
    space = cells(4)  # of 65,536
    told = play(PNAS(context(space), candidates=500), error, 70)
    assert set(min(told, key=additive).values()) == {"conv"}


def test_what_passes_a_known_limit_comes_last() -> None:
    strategy = PNAS(context(cells(2), objectives=2, limit=10.0), beam=8)
    told = play(strategy, error, 40)
    assert all(flops(a) <= 10 for a in told[16:])


def test_nothing_is_trained_twice_and_a_space_ends() -> None:
    for space in (cells(1), Conditional(), Words()):
        told = play(PNAS(context(space), beam=4, candidates=50), lambda a: {"error": 1 + len(a)})
        assert len(told) == len(set(told))
        assert set(told) == set(every(space))


def test_a_generation_is_waited_for() -> None:
    strategy = PNAS(context(CELL), beam=4)
    first = strategy.ask(8)
    assert len(first) == 4
    assert strategy.ask(8) == []
    strategy.tell([Outcome(p, failed="lost") for p in first[:2]])
    assert strategy.ask(8) == []
    strategy.tell([Outcome(p, {"error": 0.1 * (1 + p.id)}) for p in first[2:]])
    second = strategy.ask(8)
    kept = {p.architecture["0-1"] for p in first[2:]}
    assert {p.architecture["0-1"] for p in second} <= kept


@pytest.mark.parametrize("space", [Chain(IMAGE, 3), Darts(IMAGE, 3, nodes=3)])
def test_large_and_conditional_spaces(space: Space) -> None:
    def metrics(a: Architecture) -> Mapping[str, float]:
        return {"error": 1 + len(a) / 10}

    told = play(PNAS(context(space, 40), beam=6, candidates=60), metrics)
    assert len(told) == len(set(told)) == 40
    for network in told:
        build(space, network)


@pytest.mark.parametrize(("surrogate", "moment"), [("mlp", 3), ("mlp", 22), ("lstm", 14)])
def test_a_snapshot_goes_on_identically(surrogate: str, moment: int) -> None:
    def new(seed: int) -> PNAS:
        given = context(cells(3), 30, seed, objectives=2)
        return PNAS(given, beam=6, candidates=100, surrogate=surrogate)

    first, second = new(0), new(9)
    play(first, error, moment)
    waiting = first.ask(2)
    text = dumps(first.state_dict())
    second.load_state_dict(loads(text))
    assert dumps(second.state_dict()) == text
    for strategy in (first, second):
        strategy.tell([Outcome(p, error(p.architecture)) for p in waiting])
    assert play(first, error) == play(second, error)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"beam": 0}, "beam"), ({"blocks": 0}, "blocks")],
)
def test_mistakes(options: dict[str, Any], message: str) -> None:
    with pytest.raises(HwnasError, match=message):
        PNAS(context(CELL), **options)
