"""Supernets: what one-hot mixtures and gates compute, and what cannot be relaxed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hwnas.core import (
    Architecture,
    Device,
    HwnasError,
    Mixture,
    Pick,
    Setting,
    Space,
    TensorType,
)
from hwnas.estimate.nn import checkpoint
from hwnas.estimate.shared import Shared
from hwnas.graph.blocks import conv_norm_relu, relu_conv_norm
from hwnas.graph.graph import Graph, Node
from hwnas.graph.ops.batch_norm import BatchNorm
from hwnas.graph.ops.concat import Concat
from hwnas.graph.ops.conv import Conv
from hwnas.graph.ops.global_pool import GlobalPool
from hwnas.graph.ops.identity import Identity
from hwnas.graph.ops.linear import Linear
from hwnas.graph.ops.pool import Pool
from hwnas.graph.ops.sequence import Sequence
from hwnas.graph.ops.sum import Sum
from hwnas.space import darts
from hwnas.space.chain import Chain
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.space.nn.network import Network
from hwnas.space.nn.supernet import Supernet
from hwnas.space.replay import build, relax
from hwnas.testing import FakeTask, check_space

IMAGE = TensorType((3, 8, 8))


def residual(x: Node) -> Node:
    """An option that is a function, with a sum of its own inside."""
    conv = x.graph.add("conv", relu_conv_norm(4, 3), x)
    total = x.graph.add("sum", Sum(), x, conv)
    return x.graph.add("norm", BatchNorm(), total)


OPTIONS = {"skip": Identity(), "conv": relu_conv_norm(4, 3), "pool": Pool("max", 3, 1, 1)}


class Darts(Space):
    """A DARTS-like cell: each node sums operations on two of the nodes before it."""

    functions = False

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        options = {**OPTIONS, "residual": residual} if self.functions else OPTIONS
        nodes = [g.add(f"stem{i}", conv_norm_relu(4, 3), g.input) for i in range(2)]
        for j in (2, 3):
            inputs = pick.inputs(f"inputs{j}", dict(enumerate(nodes)), k=2)
            edges = [pick.op(f"{i}-{j}", x, options) for i, x in inputs.items()]
            nodes.append(g.add(f"node{j}", Sum(), *edges))
        x = g.add("cell", Sum(), *nodes[2:])
        return g.finish(g.add("head", Linear(self.outputs), g.add("pool", GlobalPool(), x)))


class Branching(Darts):
    """Options that are functions, on inputs that are chosen."""

    functions = True


class Joined(Space):
    """Concatenates inputs that are chosen."""

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        stems = {i: g.add(f"stem{i}", conv_norm_relu(4, 3), g.input) for i in range(3)}
        x = g.add("cell", Concat(), *pick.inputs("inputs", stems, k=2).values())
        return g.finish(g.add("head", Linear(self.outputs), g.add("pool", GlobalPool(), x)))


def tensors(mixture: Mixture | Architecture, net: Supernet) -> dict[str, Tensor]:
    return {name: torch.from_numpy(mixture.weights(c)) for name, c in net.choices.items()}


def run(net: Supernet, x: Tensor, point: Mixture | Architecture) -> Tensor:
    return net(x, tensors(point, net), net.active(point))


def supernet(space: Space) -> tuple[Supernet, Tensor]:
    torch.manual_seed(0)
    net = Supernet(space).double()
    return net, torch.randn(6, *space.input.shape, dtype=torch.float64)


def random_mixture(net: Supernet, seed: int = 0) -> Mixture:
    rng = np.random.default_rng(seed)
    return Mixture({n: rng.dirichlet(np.ones(len(c.options))) for n, c in net.choices.items()})


@pytest.mark.parametrize("space", [Darts, Branching])
def test_chosen_inputs_keep_the_contract_of_spaces(space: type[Space]) -> None:
    check_space(space)


def test_choices_of_a_cell() -> None:
    graph, choices = relax(Darts(IMAGE, 5))
    # Node 2 has two candidates for two inputs: nothing to choose.
    assert list(choices) == ["0-2", "1-2", "inputs3", "0-3", "1-3", "2-3"]
    assert choices["inputs3"].k == 2
    assert choices["inputs3"].options == (0, 1, 2)
    terms = graph["node3"].inputs
    assert [t.gates for t in terms] == [((choices["inputs3"], i),) for i in range(3)]


@pytest.mark.parametrize("space", [Darts, Branching])
def test_gates_count_once_and_only_where_terms_are_summed(space: type[Space]) -> None:
    """The supernet is linear in a gate, with the slope that a gate of 1 or 0 shows."""
    net, x = supernet(space(IMAGE, 5))
    net.eval()
    mixture = random_mixture(net).to_json()["weights"]

    def output(gate: float) -> Tensor:
        weights = {**mixture, "inputs3": [gate, 0.4, 0.6]}
        return run(net, x, Mixture(weights)).detach()

    at = [output(g) for g in (0.0, 0.5, 1.0, 2.0)]
    torch.testing.assert_close(at[1], (at[0] + at[2]) / 2)
    torch.testing.assert_close(at[3], 2 * at[2] - at[0])
    assert (at[2] - at[0]).abs().max() > 1e-3


@pytest.mark.parametrize("space", [Darts(IMAGE, 5), NasBench201(IMAGE, 5, cells=1, channels=2)])
def test_gradients_of_weights_and_gates_by_differences(space: Space) -> None:
    net, x = supernet(space)
    mixture = random_mixture(net)
    weights = {n: w.requires_grad_() for n, w in tensors(mixture, net).items()}
    loss = net(x, weights, net.active(mixture)).square().mean()
    loss.backward()
    step = 1e-6
    for name, w in weights.items():
        for i in range(len(w)):
            values = []
            for sign in (1, -1):
                moved = {n: v.detach().clone() for n, v in weights.items()}
                moved[name][i] += sign * step
                values.append(net(x, moved, net.active(mixture)).square().mean().item())
            assert w.grad is not None
            assert float(w.grad[i]) == pytest.approx(
                (values[0] - values[1]) / (2 * step), rel=1e-4, abs=1e-7
            ), (name, i)


def test_only_active_options_are_computed() -> None:
    space = NasBench201(IMAGE, 5, cells=1, channels=2)
    net, x = supernet(space)
    architecture = sample(space, np.random.default_rng(1))
    run(net, x, architecture).sum().backward()
    own = set(dict(build_parameters(space, architecture)))
    with_gradient = {n for n, p in net.named_parameters() if p.grad is not None}
    assert with_gradient <= own
    assert len(own) < len(dict(net.named_parameters()))


def build_parameters(space: Space, architecture: Architecture) -> list[tuple[str, Tensor]]:
    from hwnas.space.nn.network import Network

    return list(Network(build(space, architecture)).named_parameters())


def test_a_mixture_names_what_it_computes() -> None:
    space = NasBench201(IMAGE, 5, cells=1, channels=2)
    net, x = supernet(space)
    net.eval()
    weights = random_mixture(net).to_json()["weights"]
    some = Mixture(weights, {"0-1": (2,), "2-3": (1, 3)})
    masked = {n: list(w) for n, w in weights.items()}
    masked["0-1"] = [w if i == 2 else 0.0 for i, w in enumerate(masked["0-1"])]
    masked["2-3"] = [w if i in (1, 3) else 0.0 for i, w in enumerate(masked["2-3"])]
    torch.testing.assert_close(run(net, x, some), run(net, x, Mixture(masked)))


def test_an_architecture_of_another_space_is_refused() -> None:
    net, x = supernet(NasBench201(IMAGE, 5, cells=1, channels=2))
    with pytest.raises(HwnasError, match=r"'\d-\d'"):
        run(net, x, Architecture({"else": 1}))


@pytest.mark.parametrize(
    ("space", "name", "way_out"),
    [
        (Chain(IMAGE, 5), "'depth'", "one option only"),
        (Chain(IMAGE, 5, depth=[2]), "'layer0.type'", "train networks one by one"),
        (Joined(IMAGE, 5), "'inputs'", "sum them instead"),
    ],
)
def test_what_cannot_be_relaxed_names_choice_and_way_out(
    space: Space, name: str, way_out: str
) -> None:
    build(space, sample(space, np.random.default_rng(0)))  # trained alone it works
    with pytest.raises(HwnasError) as caught:
        Supernet(space)
    assert name in caught.value.message
    assert way_out in caught.value.hint


class Uneven(Space):
    """Options of different types."""

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        x = pick.op("size", g.input, {"keep": Conv(2, 3), "halve": Conv(2, 3, stride=2)})
        return g.finish(g.add("head", Linear(self.outputs), g.add("pool", GlobalPool(), x)))


class Fixed(Space):
    """Nothing to choose."""

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        x = g.add("conv", Conv(pick("out", [4]), 3), g.input)
        return g.finish(g.add("head", Linear(self.outputs), g.add("pool", GlobalPool(), x)))


class Twice(Space):
    """Asks for one name with different options."""

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        x = g.add("a", Conv(pick("out", [4, 8]), 3), g.input)
        x = g.add("b", Conv(pick("out", [2, 3]), 3), x)
        return g.finish(g.add("head", Linear(self.outputs), g.add("pool", GlobalPool(), x)))


def test_other_mistakes_of_a_space_author() -> None:
    with pytest.raises(HwnasError, match="'size' cannot be relaxed: its options differ in type"):
        Supernet(Uneven(IMAGE, 5))
    with pytest.raises(HwnasError, match="nothing to choose"):
        Supernet(Fixed(IMAGE, 5))
    with pytest.raises(HwnasError, match="'out' is asked twice with different options"):
        sample(Twice(IMAGE, 5), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("picks", "message"),
    [
        ({}, "'0-1' has nothing"),
        ({"0-1": "conv 9x9"}, "'0-1' has 'conv 9x9'"),
        ({f"{i}-{j}": "none" for j in range(1, 4) for i in range(j)} | {"x": 1}, r"\['x'\]"),
    ],
)
def test_an_architecture_that_is_not_of_the_space(picks: dict[str, str], message: str) -> None:
    with pytest.raises(HwnasError, match=message):
        build(NasBench201(IMAGE, 5, cells=1, channels=2), Architecture(picks))


def test_what_options_begin_with_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    space = NasBench201(IMAGE, 10, cells=1, channels=2)
    net = Supernet(space)
    done: list[int] = []
    relu = torch.nn.ReLU.forward
    monkeypatch.setattr(
        torch.nn.ReLU, "forward", lambda self, x: done.append(id(x)) or relu(self, x)
    )
    weights = {name: torch.full((5,), 0.2) for name in net.choices}
    net(torch.zeros(2, 3, 8, 8), weights, {name: tuple(range(5)) for name in net.choices})
    # Three states in each of three cells, two ReLUs in each reduction, one at the end.
    assert len(done) == 3 * 3 + 2 * 2 + 1


def test_what_has_no_weights_is_computed_once_for_the_same_input() -> None:
    net = Supernet(darts.Darts(IMAGE, 10, cells=3, channels=4, affine=False))
    pools = [m for m in net.modules() if isinstance(m, torch.nn.MaxPool2d)]
    done: list[torch.nn.Module] = []
    for pool in pools:
        pool.register_forward_hook(lambda module, *_: done.append(module))
    # Fourteen edges of a cell begin in five states.
    assert len(pools) == 3 * 5
    every = {name: tuple(range(len(choice.options))) for name, choice in net.choices.items()}
    net(torch.randn(2, 3, 8, 8), {n: torch.ones(len(o)) for n, o in every.items()}, every)
    assert sorted(map(id, done)) == sorted(map(id, pools))


class Pooled(Space):
    """Two edges that may pool the same input, with statistics but no weights."""

    def graph(self, pick: Pick) -> Graph:
        g = Graph(self.input)
        pool = Sequence("pool", (Pool("max", 3, 1, 1), BatchNorm(affine=False)))
        options = {"skip": Identity(), "pool": pool}
        terms = [pick.op(f"edge{i}", g.input, options) for i in range(2)]
        x = g.add("pooled", GlobalPool(), g.add("sum", Sum(), *terms))
        return g.finish(g.add("classifier", Linear(self.outputs), x))


def test_statistics_of_what_is_computed_once_are_those_of_every_edge(tmp_path: Path) -> None:
    net = Supernet(Pooled(IMAGE, 5))
    weights = {name: torch.ones(2) for name in net.choices}
    net(torch.randn(8, *IMAGE.shape), weights, {"edge0": (0, 1), "edge1": (1,)})
    first, second = (v for n, v in net.state_dict().items() if n.endswith("running_var"))
    assert first.data_ptr() == second.data_ptr() and (first != 1).all()
    net(torch.randn(8, *IMAGE.shape), None, {"edge0": (0,), "edge1": (1,)})
    (steps,) = {int(v) for n, v in net.state_dict().items() if n.endswith("tracked")}
    assert steps == 2
    checkpoint.save(tmp_path / "weights", net.state_dict(), {})
    assert checkpoint.load(tmp_path / "weights")[0].keys() == net.state_dict().keys()


def test_what_is_computed_once_is_so_wherever_it_is_active() -> None:
    space = darts.Darts(IMAGE, 10, cells=3, channels=4, affine=False)
    net = Supernet(space).eval()
    rng = np.random.default_rng(0)
    for _ in range(5):
        architecture = sample(space, rng)
        alone = Network(build(space, architecture)).eval()
        alone.load_state_dict({n: net.state_dict()[n] for n in alone.state_dict()})
        x = torch.randn(2, 3, 8, 8)
        torch.testing.assert_close(net(x, None, net.active(architecture)), alone(x))


@pytest.mark.parametrize("begin", ["step", "gradient"])
def test_all_of_it_is_trained_again_after_it_was_scored(begin: str) -> None:
    task = FakeTask()
    space = NasBench201(task.input, task.outputs, cells=1, channels=2)
    sharer = Shared(Setting(space, task, Device(threads=1)), horizon=5)._sharer
    mixture = random_mixture(sharer.supernet)
    sharer.step(mixture)
    sharer.score(mixture, limit=1)
    assert not any(m.training for m in sharer.supernet.modules())
    if begin == "step":
        sharer.step(mixture)
    else:
        sharer.gradient(mixture, order=1)
    assert all(m.training for m in sharer.supernet.modules())
