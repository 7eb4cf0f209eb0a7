"""Weights generated from the graph of a network, and estimates made with them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau
from torch import Tensor, nn
from torch.func import functional_call

from hwnas.core import Architecture, Device, HwnasError, Outcome, Proposal, Setting, Space
from hwnas.core.registry import discover
from hwnas.core.tensor_type import TensorType
from hwnas.estimate.hypernet import Hypernet
from hwnas.estimate.inherit import Inherit
from hwnas.estimate.nn import checkpoint
from hwnas.estimate.nn.hypernetworks.decoder import FilterDecoder, tiled
from hwnas.estimate.nn.hypernetworks.ghn import Ghn
from hwnas.estimate.nn.hypernetworks.hypernetwork import Hypernetwork
from hwnas.estimate.nn.hypernetworks.propagation import Propagation
from hwnas.estimate.nn.hypernetworks.smash import Smash
from hwnas.estimate.train import Train
from hwnas.graph.blocks import conv_norm_relu
from hwnas.graph.graph import INPUT, Graph, Node
from hwnas.graph.ops.activation import Activation
from hwnas.graph.ops.block import Block
from hwnas.graph.ops.concat import Concat
from hwnas.graph.ops.conv import Conv
from hwnas.graph.ops.global_pool import GlobalPool
from hwnas.graph.ops.linear import Linear
from hwnas.graph.ops.shortcut import Shortcut
from hwnas.graph.ops.sum import Sum
from hwnas.space.chain import Chain
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.space.nn.network import Network
from hwnas.space.replay import build
from hwnas.task.digits import Digits
from hwnas.testing import FakeTask
from hwnas.testing.estimator import ESTIMATOR_CHECKS, PoisonedTask, check_seed, estimator_bench
from hwnas.testing.small import small
from hwnas.testing.space import space_grounds

TASK = FakeTask()
IMAGE = TensorType((4, 6, 6))
GHN = partial(Ghn, width=8, rounds=1, sequential=True, reach=3, normalise=True, channels=8)
SMASH = partial(Smash, width=8, kernel=3)
KINDS = {
    "ghn": GHN,
    "synchronous": partial(GHN, sequential=False, rounds=3, normalise=False),
    "smash": SMASH,
}
kinds = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)


def made(make: Callable[[], Hypernetwork], seed: int = 0) -> Hypernetwork:
    torch.manual_seed(seed)
    return make().double()


def weights(hypernetwork: Hypernetwork, graph: Graph) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return hypernetwork(graph, Network(graph).double())


def diamond(upper: int = 3, lower: int = 3, swap: bool = False) -> Graph:
    """Two branches of a convolution each, made in either order, and a third behind one."""
    g = Graph(IMAGE)
    stem = g.add("stem", conv_norm_relu(4, 3), g.input)
    ops = {"upper": Conv(4, upper), "lower": Conv(4, lower)}
    made = {n: g.add(n, ops[n], stem) for n in (reversed(ops) if swap else ops)}
    behind = g.add("behind", Conv(4, 3), made["upper"])
    both = g.add("both", Sum(), made["lower"], behind)
    return g.finish(g.add("linear", Linear(3), g.add("pool", GlobalPool(), both)))


@kinds
@pytest.mark.parametrize("name", discover("spaces"))
def test_every_parameter_of_every_space_is_generated(
    name: str, make: Callable[[], Hypernetwork]
) -> None:
    grounds = space_grounds(name, samples=4)
    hypernetwork = made(make)
    for architecture in grounds.architectures():
        graph = build(grounds.space, architecture)
        network = Network(graph).double()
        expected = {n: p.shape for n, p in network.named_parameters()}
        found = hypernetwork(graph, network)
        assert {n: p.shape for n, p in found.items()} == expected
        assert all(torch.isfinite(p).all() for p in found.values())


class Odd(nn.Module):
    """Parameters of every rank."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.ranks = nn.ParameterList(torch.zeros((2, 3, 9, 11, 2)[:n]) for n in range(6))

    def forward(self, x: Tensor) -> Tensor:
        return x + sum(p.sum() for p in self.ranks)


@kinds
def test_parameters_of_any_rank_and_of_unknown_operations(
    make: Callable[[], Hypernetwork],
) -> None:
    g = Graph(IMAGE)
    odd = g.add("odd", Block("odd", Odd), g.input)
    wide = g.add("wide", Conv(20, (1, 9)), odd)  # larger than what is decoded at once
    back = g.add("back", Conv(4, 3), wide)
    graph = g.finish(g.add("skip", Shortcut(), back, odd))
    found = weights(made(make), graph)
    expected = {n: p.shape for n, p in Network(graph).named_parameters()}
    assert {n: p.shape for n, p in found.items()} == expected
    functional_call(Network(graph).double(), found, (torch.ones(2, *IMAGE.shape).double(),))


@kinds
def test_gradient_reaches_all_of_the_hypernetwork(make: Callable[[], Hypernetwork]) -> None:
    g = Graph(IMAGE)
    a = g.add("a", conv_norm_relu(4, 3), g.input)
    b = g.add("b", conv_norm_relu(4, 1), a)
    x = g.add("skip", Shortcut(), b, a)
    x = g.add("both", Concat(), g.add("deep", Activation(), x), a)
    graph = g.finish(g.add("linear", Linear(3), g.add("pool", GlobalPool(), x)))
    hypernetwork = made(make)
    network = Network(graph).double()
    for _ in range(2):  # the first time SMASH makes what it learns by name
        found = hypernetwork(graph, network)
    outputs = functional_call(network, found, (torch.randn(8, *IMAGE.shape).double(),))
    nn.functional.cross_entropy(outputs, torch.arange(8) % 3).backward()
    for name, parameter in hypernetwork.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@kinds
def test_an_operation_has_its_weights_from_its_context(make: Callable[[], Hypernetwork]) -> None:
    hypernetwork = made(make)
    first = weights(hypernetwork, diamond())
    assert all(torch.equal(w, first[n]) for n, w in weights(hypernetwork, diamond()).items())
    assert not torch.allclose(first["ops.upper.weight"], first["ops.behind.weight"])
    other = weights(hypernetwork, diamond(lower=1))
    assert not torch.allclose(first["ops.upper.weight"], other["ops.upper.weight"])


def test_graph_hypernetworks_tell_like_places_alike_and_unlike_ones_apart() -> None:
    """Two branches that are the same, and lead to the same, cannot be told apart."""

    def branches(kernel: int) -> dict[str, Tensor]:
        g = Graph(IMAGE)
        pair = [g.add(name, Conv(4, 3), g.input) for name in ("left", "right")]
        after = [g.add(f"{n.id}-2", Conv(4, k), n) for n, k in zip(pair, (3, kernel), strict=True)]
        return weights(hypernetwork, g.finish(g.add("sum", Sum(), *after)))

    hypernetwork = made(GHN)
    same, other = branches(3), branches(1)
    torch.testing.assert_close(same["ops.left.weight"], same["ops.right.weight"])
    assert not torch.allclose(other["ops.left.weight"], other["ops.right.weight"])


@pytest.mark.parametrize("make", [GHN, KINDS["synchronous"]])
def test_the_order_of_nodes_does_not_matter(make: Callable[[], Hypernetwork]) -> None:
    hypernetwork = made(make)
    a, b = diamond(5, 1), diamond(5, 1, swap=True)
    assert [n.id for n in a] != [n.id for n in b]
    expected = weights(hypernetwork, a)
    for name, found in weights(hypernetwork, b).items():
        torch.testing.assert_close(found, expected[name])


def test_nodes_that_share_weights_are_given_one_set() -> None:
    g = Graph(IMAGE)
    first = g.add("first", Conv(4, 3), g.input)
    second = g.add("second", Conv(4, 3), first, weights="first")
    found = weights(made(GHN), g.finish(second))
    assert list(found) == ["ops.first.weight"]


def test_a_sequential_pass_updates_node_after_node() -> None:
    """Level by level is one node after another (Zhang et al. 2019, equations 5 and 6)."""
    graph = diamond()
    torch.manual_seed(0)
    propagation = Propagation(5, 2, sequential=True, reach=2)
    nodes = [graph.input, *graph]
    before = torch.randn(len(nodes), 5)
    state = dict(zip([n.id for n in nodes], before, strict=True))

    def update(node: Node, reads: dict[str, list[str]]) -> None:
        near = reads[node.id]
        far = {f for n in near for f in reads[n]} - set(near)
        heard = torch.zeros(5)
        for n in near:
            heard = heard + propagation.near(state[n])
        for f in far:
            heard = heard + propagation.far(state[f]) / 2  # type: ignore[misc]
        state[node.id] = propagation.gru(heard[None], state[node.id][None])[0]

    inputs = {n.id: [i.id for i in n.inputs] for n in nodes}
    readers = {n.id: [m.id for m in nodes if n.id in inputs[m.id]] for n in nodes}
    assert inputs[INPUT] == []
    for _ in range(2):
        for node in nodes:
            update(node, inputs)
        for node in reversed(nodes):
            update(node, readers)
    torch.testing.assert_close(propagation(before, graph), torch.stack(list(state.values())))


def test_smaller_filters_are_the_middle_of_larger_ones_and_wider_ones_are_tiled() -> None:
    torch.manual_seed(0)
    decoder, z = FilterDecoder(6, 4), torch.randn(3, 6)
    whole = decoder(z, (4, 4, 7, 7))
    torch.testing.assert_close(decoder(z, (2, 3, 3, 1)), whole[:, :2, :3, 2:5, 3:4])
    wide = decoder(z, (6, 9, 3, 3))
    torch.testing.assert_close(wide[:, 4:], wide[:, :2])
    torch.testing.assert_close(wide[:, :, 4:8], wide[:, :, :4])
    assert tiled(torch.arange(3.0)[None], (7,)).tolist() == [[0, 1, 2, 0, 1, 2, 0]]


def test_normalised_weights_keep_the_variance() -> None:
    """Of a sum over the fan-in, times two beside a ReLU (Knyazev et al. 2021, section 4.3)."""
    torch.manual_seed(0)
    hypernetwork = Ghn(width=64, rounds=1, sequential=True, reach=1, normalise=True, channels=32)
    g = Graph(TensorType((32, 6, 6)))
    x = g.add("dense", Conv(32, 5), g.input)
    x = g.add("linear", Linear(32), g.add("pool", GlobalPool(), x))
    graph = g.finish(x)
    found = hypernetwork(graph, Network(graph))
    assert found["ops.dense.weight"].var().item() * 32 * 25 == pytest.approx(2, rel=0.5)
    assert found["ops.linear.weight"].var().item() * 32 == pytest.approx(1, rel=0.5)
    assert found["ops.linear.bias"].abs().max() < 1


CHAIN = space_grounds("chain", input=TASK.input, outputs=TASK.outputs).space
NASBENCH = NasBench201(TASK.input, TASK.outputs, cells=1, channels=2)


BEYOND = [
    pytest.param(kind, space, check, id=f"{kind}-{type(space).__name__}-{check.__name__}")
    for kind, space in (("ghn", CHAIN), ("smash", NASBENCH), ("smash", CHAIN))
    for check in ESTIMATOR_CHECKS
    if check is not check_seed or (kind, space) == ("smash", CHAIN)  # it starts a process
]


@pytest.mark.parametrize(("kind", "space", "check"), BEYOND)
def test_contract_beyond_the_defaults(
    kind: str, space: Space, check: Callable[..., None], tmp_path: Path
) -> None:
    check(estimator_bench(Hypernet, small(Hypernet) | {"kind": kind}, space, tmp_path))


def setting(space: Space = NASBENCH, folder: Path | None = None, keep: bool = False) -> Setting:
    return Setting(space, TASK, Device(threads=1), 0, folder, keep)


def one(estimator: Hypernet | Train, proposal: Proposal) -> Outcome:
    (outcome,) = estimator.estimate([proposal])
    assert outcome.failed is None, outcome.failed
    return outcome


def architectures(count: int, space: Space = NASBENCH, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [sample(space, rng) for _ in range(count)]


@pytest.mark.parametrize("kind", ["ghn", "smash"])
def test_it_goes_on_to_the_last_bit_from_a_checkpoint(kind: str, tmp_path: Path) -> None:
    """With moments of the gradient, and in a conditional space names that were not met before."""
    options = {"kind": kind, "width": 8, "channels": 4, "reach": 2}
    points = architectures(8, CHAIN)
    first = Hypernet(setting(CHAIN, tmp_path), **options)
    for id, point in enumerate(points[:4]):
        one(first, Proposal(id, point, 2, score=0))
    first.checkpoint(3)

    def go_on(estimator: Hypernet) -> tuple[list[Outcome], dict[str, Tensor]]:
        outcomes = [one(estimator, Proposal(4 + i, p, 1)) for i, p in enumerate(points[4:])]
        return outcomes, estimator._trainer.hypernetwork.state_dict()

    outcomes, state = go_on(first)
    expected = {name: t.clone() for name, t in state.items()}
    for estimator in (Hypernet(setting(CHAIN, tmp_path), **options), first):  # new, and used
        estimator.restore(3)
        again, found = go_on(estimator)
        assert [o.metrics for o in again] == [o.metrics for o in outcomes]
        assert [o.spent.steps for o in again] == [o.spent.steps for o in outcomes]
        assert found.keys() == expected.keys()
        assert all(torch.equal(t, expected[name]) for name, t in found.items())


@pytest.mark.parametrize("kind", ["ghn", "smash"])
def test_what_is_not_finite_changes_nothing(kind: str) -> None:
    point = architectures(1)[0]
    poisoned, calm = (
        Hypernet(Setting(NASBENCH, task, Device(threads=1)), kind=kind, width=8)
        for task in (PoisonedTask(), TASK)
    )
    (outcome,) = poisoned.estimate([Proposal(0, point, 1)])
    assert outcome.failed is not None
    assert "loss is nan" in outcome.failed
    poisoned._trainer._task = TASK
    expected, found = (one(e, Proposal(1, point, 2)) for e in (calm, poisoned))
    assert found.metrics == expected.metrics


def test_scoring_changes_nothing() -> None:
    a, b = (Hypernet(setting(), width=8) for _ in range(2))
    first, *others = architectures(4)
    for estimator in (a, b):
        one(estimator, Proposal(0, first, 3, score=0))
    for id, other in enumerate(others, 1):
        one(a, Proposal(id, other, 0))
    assert one(a, Proposal(9, first, 1)).metrics == one(b, Proposal(9, first, 1)).metrics


@pytest.mark.parametrize("estimator", [Train, Inherit])
def test_training_begins_from_generated_weights(estimator: type[Train], tmp_path: Path) -> None:
    point = architectures(1)[0]
    hypernet = Hypernet(setting(folder=tmp_path, keep=True), width=8)
    generated = one(hypernet, Proposal(0, point, 20))
    train = estimator(setting(folder=tmp_path, keep=True), epochs=4)
    begun = one(train, Proposal(1, point, 0, parent=0))
    assert begun.metrics == pytest.approx(dict(generated.metrics), abs=1e-5)
    assert begun.spent.train == 0
    trained = one(train, Proposal(2, point, 4, parent=0))
    assert trained.spent.train == 4
    assert trained.metrics["loss"] < generated.metrics["loss"]
    kept, facts = checkpoint.load(tmp_path / "weights" / "0.safetensors")
    assert Architecture.from_json(facts["architecture"]) == point
    assert {n for n in kept if n.startswith("weights.ops.stem")}


def test_mistakes_are_told() -> None:
    for option in ({"horizon": 0}, {"rounds": 0}, {"lr": 0.0}, {"channels": -1}):
        with pytest.raises(HwnasError, match=next(iter(option))):
            Hypernet(setting(), **option)


@pytest.mark.parametrize("kind", ["ghn", "smash"])
def test_a_trained_hypernetwork_is_better_on_networks_it_has_not_met(kind: str) -> None:
    train, unseen = architectures(80), architectures(6, seed=9)
    estimator = Hypernet(setting(), kind=kind, horizon=200, width=16)

    def loss() -> float:
        return float(np.mean([one(estimator, Proposal(0, p, 0)).metrics["loss"] for p in unseen]))

    before = loss()
    for point in train:
        one(estimator, Proposal(0, point, 1, score=0))
    assert loss() < before / 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ghn", "smash"])
def test_it_ranks_networks_as_training_alone_does(kind: str) -> None:
    """Chains of 1 to 3 convolutions that differ in kernel and stride, on digits."""
    task = Digits()
    space = Chain(
        task.input,
        task.outputs,
        depth=[1, 2, 3],
        types=["conv"],
        filters=[16],
        dilations=[1],
        dense=[0],
    )
    here = Setting(space, task, Device(threads=1))
    hypernet = Hypernet(here, kind=kind, horizon=600, batch=64)
    for point in architectures(600, space, seed=2):
        one(hypernet, Proposal(0, point, 1, score=0))
    train = Train(here, epochs=3, batch=64)
    points = architectures(16, space, seed=1)
    generated = [one(hypernet, Proposal(0, p, 0)).metrics["error"] for p in points]
    alone = [one(train, Proposal(0, p, 3)).metrics["error"] for p in points]
    assert kendalltau(generated, alone).statistic > 0.4
