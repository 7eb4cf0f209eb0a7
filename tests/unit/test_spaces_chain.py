"""Chains and multi-branch networks: what is asked, how many there are, and known networks."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from hwnas.core import Architecture, Choice, HwnasError, Space, TensorType
from hwnas.core.choice import Value
from hwnas.graph.ops.concat import Concat
from hwnas.graph.ops.conv import Conv
from hwnas.graph.ops.pool import Pool
from hwnas.graph.ops.sum import Sum
from hwnas.graph.scale import scale
from hwnas.space.chain import Chain
from hwnas.space.moves import sample, walk
from hwnas.space.multi_branch import MultiBranch
from hwnas.space.nn.network import Network
from hwnas.space.replay import build

IMAGE = TensorType((3, 16, 16))
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.tuples(st.integers(1, 19), st.integers(1, 19))
MERGES = [["sum"], ["concat"], ["sum", "concat"]]


def enumerated(space: Space) -> int:
    """How many architectures there are, each of them built."""
    found: list[Architecture] = []
    open_: list[tuple[Value, ...]] = [()]
    while open_:
        prefix = open_.pop()
        met: list[Choice] = []

        def decide(choice: Choice, prefix: Any = prefix, met: list[Choice] = met) -> Value:
            met.append(choice)
            return prefix[len(met) - 1] if len(met) <= len(prefix) else choice.values[0]

        architecture = walk(space, decide)
        build(space, architecture)
        found.append(architecture)
        taken = list(architecture.values())
        for depth in range(len(prefix), len(met)):
            open_ += [(*taken[:depth], value) for value in met[depth].values[1:]]
    assert len(set(found)) == len(found)
    return len(found)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((1, 1), {}),
        ((1, 7), {"pools": [2, 3]}),
        ((2, 2), {"strides": [1, 2, 3], "types": ["conv", "pool"], "pools": [2, 3]}),
        ((5, 4), {"kernels": [5], "dilations": [1, 2, 3], "pools": [2, 4]}),
        ((9, 9), {"depth": [3], "types": ["separable"], "kernels": [3], "strides": [3]}),
    ],
)
def test_chains_are_counted_exactly(size: tuple[int, int], options: dict[str, Any]) -> None:
    small = {"depth": [1, 2], "filters": [4], "kernels": [1, 3], "dense": [0, 1], "units": [2]}
    space = Chain(TensorType((1, *size)), 3, **(small | options))
    assert space.count() == enumerated(space)


@pytest.mark.parametrize("merges", MERGES)
@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((4, 4), {"depth": [2, 3], "kernels": [1], "types": ["conv", "pool"], "pools": [2]}),
        ((3, 5), {"depth": [3], "kernels": [3], "types": ["conv"], "dilations": [1]}),
        ((2, 2), {"depth": [4], "kernels": [1], "types": ["conv"], "strides": [2]}),
    ],
)
def test_multi_branch_networks_are_counted_exactly(
    size: tuple[int, int], options: dict[str, Any], merges: Any
) -> None:
    small = {"filters": [4], "dense": [0], "orders": ["conv_norm_relu"]}
    space = MultiBranch(TensorType((1, *size)), 3, merges=merges, **(small | options))
    assert space.count() == enumerated(space)


def test_the_number_of_chains_by_hand() -> None:
    options: dict[str, Any] = {"filters": [4, 8], "kernels": [1, 3], "pools": [2], "dense": [0, 2]}
    space = Chain(TensorType((1, 3, 3)), 3, depth=[2], **options)
    # On 3x3: 2 types x 2 filters x (kernel 1 or kernel 3 of dilation 1 or 2) x 2 strides, half of
    # them with stride 2, as both pools have. On 2x2 a dilated kernel reaches over the edge.
    keep, halve = 2 * 2 * 3, 2 * 2 * 3 + 2
    after = 2 * 2 * 2 * 2 + 2
    assert space.count() == (keep * (keep + halve) + halve * after) * (1 + (3 * 2) ** 2)


@settings(deadline=None)
@given(SEEDS, SIZES)
def test_only_what_is_there_has_hyperparameters(seed: int, size: tuple[int, int]) -> None:
    space = Chain(TensorType((1, *size)), 3)
    architecture = sample(space, np.random.default_rng(seed))
    graph = build(space, architecture)
    depth, dense = int(str(architecture["depth"])), int(str(architecture["dense"]))
    expected = {"depth", "dense"}
    expected |= {f"dense{i}.{what}" for i in range(dense) for what in ("units", "dropout")}
    left = size
    for i in range(depth):
        pick = {
            n.partition(".")[2]: v for n, v in architecture.items() if n.startswith(f"layer{i}.")
        }
        if pick["type"] == "pool":
            names = {"type", "pool"} | ({"size"} if min(left) > 2 else set())
            assert pick.get("size", 2) <= min(left)
            stride = {2: 2, 3: 2, 5: 3}[pick.get("size", 2)]
        else:
            reach = pick["kernel"] - 1 < min(left) and pick["kernel"] > 1
            names = {"type", "filters", "kernel"} | ({"stride"} if min(left) > 1 else set())
            names |= {"dilation"} if reach else set()
            stride = pick.get("stride", 1)
        assert set(pick) == names
        expected |= {f"layer{i}.{name}" for name in names}
        if min(left) == 1:
            assert stride == 1
        left = (-(-left[0] // stride), -(-left[1] // stride))
        assert graph[f"layer{i}"].type.shape[1:] == left
    assert set(architecture) == expected


def randomised(network: nn.Module, seed: int = 0) -> None:
    """Random weights, and statistics as after training."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias, std=0.3)


def same(space: Space, picks: dict[str, Any], model: nn.Module, weights: list[nn.Module]) -> None:
    """The network of ``picks``, with the ``weights`` of ``model`` in order, is ``model``."""
    randomised(model)
    network = Network(build(space, Architecture(picks)))
    own = [m for m in network.modules() if not list(m.children()) and m.state_dict()]
    for module, source in zip(own, weights, strict=True):
        assert isinstance(module, type(source))
        module.load_state_dict(source.state_dict())
    x = torch.randn(5, *space.input.shape)
    for training in (False, True):
        network.train(training)
        model.train(training)
        assert torch.allclose(network(x), model(x), rtol=1e-5, atol=1e-5)


def layer(i: int, filters: int, kernel: int = 3, stride: int = 1) -> dict[str, Any]:
    values = {"type": "conv", "filters": filters, "kernel": kernel, "stride": stride}
    return {f"layer{i}.{name}": value for name, value in values.items()}


def joined(to: str, i: int, *sources: int) -> dict[str, bool]:
    return {f"{to}.from{j}": j in sources for j in range(i)}


def test_a_chain_written_by_hand() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=4, dilation=2, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(8, 8, 3, stride=1, padding=2, dilation=2, groups=8, bias=False),
        nn.Conv2d(8, 16, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 32),
        nn.ReLU(),
        nn.Linear(32, 64),
        nn.ReLU(),
        nn.Dropout(0.0),
        nn.Linear(64, 10),
    )
    picks: dict[str, Any] = {
        "depth": 4,
        **layer(0, 8, 5, 2),
        "layer0.dilation": 2,
        "layer1.type": "pool",
        "layer1.pool": "max",
        "layer1.size": 3,
        **layer(2, 16),
        "layer2.type": "separable",
        "layer2.dilation": 2,
        "layer3.type": "pool",
        "layer3.pool": "avg",
        "layer3.size": 2,
        "dense": 2,
        "dense0.units": 32,
        "dense0.dropout": 0.0,
        "dense1.units": 64,
        "dense1.dropout": 0.0,
    }
    same(Chain(IMAGE, 10), picks, model, [m for m in model if m.state_dict()])
    dropping = Network(build(Chain(IMAGE, 10), Architecture(picks | {"dense1.dropout": 0.5})))
    rates = [m.p for m in dropping.modules() if isinstance(m, nn.Dropout)]
    assert rates == [0.5]


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_multi_branch_has_every_chain(seed: int) -> None:
    chain, space = Chain(IMAGE, 10), MultiBranch(IMAGE, 10)
    architecture = sample(chain, np.random.default_rng(seed))
    picks: dict[str, Any] = {**architecture, "order": "conv_norm_relu"}
    depth = picks["depth"]
    for i in range(depth):
        picks |= joined(f"layer{i}", i, i - 1)
    picks |= joined("output", depth - 1)
    expected = Network(build(chain, architecture))
    randomised(expected)
    network = Network(build(space, Architecture(picks)))
    network.load_state_dict(expected.state_dict())
    x = torch.randn(3, *IMAGE.shape)
    assert torch.allclose(network.eval()(x), expected.eval()(x), rtol=1e-5, atol=1e-5)


class Residual(nn.Module):
    """The block of He et al. 2016, identity mappings: norm and ReLU come before convolutions."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(out)
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.project = nn.Conv2d(channels, out, 1, stride, bias=False) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.norm1(x))
        shortcut = self.project(h) if self.project else x
        return shortcut + self.conv2(functional.relu(self.norm2(self.conv1(h))))


class ResNet(nn.Module):
    """Two stages, the second of half the size and twice the width, the last with two blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.blocks = nn.Sequential(Residual(8, 8, 1), Residual(8, 16, 2), Residual(16, 16, 1))
        self.norm = nn.BatchNorm2d(16)
        self.classifier = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.blocks(self.stem(x))))
        return self.classifier(x.mean((2, 3)))


def test_multi_branch_has_residual_networks() -> None:
    """A state is the sum of the outputs of all blocks before it; a projection is a layer."""
    picks: dict[str, Any] = {"order": "norm_relu_conv", "depth": 8, "dense": 0}
    sources = [(), (0,), (1,), (0, 2), (0, 2), (4,), (3, 5), (6,)]  # 3 is the projection
    shapes = [(8, 3, 1), (8, 3, 1), (8, 3, 1), (16, 1, 2), (16, 3, 2), (16, 3, 1)]
    shapes += [(16, 3, 1), (16, 3, 1)]
    for i, (shape, read) in enumerate(zip(shapes, sources, strict=True)):
        picks |= layer(i, *shape) | joined(f"layer{i}", i, *read)
        picks |= {f"layer{i}.merge": "sum"} if len(read) > 1 else {}
    picks |= joined("output", 7, 3, 5) | {"output.merge": "sum"}
    model = ResNet()
    a, b, c = model.blocks
    weights = [model.stem, a.norm1, a.conv1, a.norm2, a.conv2, b.norm1, b.project]
    weights += [b.norm1, b.conv1, b.norm2, b.conv2, c.norm1, c.conv1, c.norm2, c.conv2]
    same(
        MultiBranch(IMAGE, 10, depth=[8, 9], dilations=[1]),
        picks,
        model,
        [*weights, model.norm, model.classifier],
    )


class DenseLayer(nn.Module):
    """Huang et al. 2017: norm, ReLU, convolution to the growth rate, put beside the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(channels), nn.Conv2d(channels, 8, 3, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv(functional.relu(self.norm(x)))], 1)


class DenseNet(nn.Module):
    """Two dense blocks of two layers with a transition between them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.block1 = nn.Sequential(DenseLayer(16), DenseLayer(24))
        self.transition = nn.Sequential(
            nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 16, 1, bias=False), nn.AvgPool2d(2)
        )
        self.block2 = nn.Sequential(DenseLayer(16), DenseLayer(24))
        self.norm = nn.BatchNorm2d(32)
        self.classifier = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block2(self.transition(self.block1(self.stem(x))))
        return self.classifier(functional.relu(self.norm(x)).mean((2, 3)))


def test_multi_branch_has_dense_nets() -> None:
    picks: dict[str, Any] = {"order": "norm_relu_conv", "depth": 7, "dense": 0}
    sources = [(), (0,), (0, 1), (0, 1, 2), (3,), (4,), (4, 5)]
    for i, read in enumerate(sources):
        shape = {0: (16, 3), 3: (16, 1)}.get(i, (8, 3))
        picks |= layer(i, *shape) | joined(f"layer{i}", i, *read)
        picks |= {f"layer{i}.merge": "concat"} if len(read) > 1 else {}
    for name in ("filters", "kernel", "stride"):
        del picks[f"layer4.{name}"]
    picks |= {"layer4.type": "pool", "layer4.pool": "avg", "layer4.size": 2}
    picks |= joined("output", 6, 4, 5) | {"output.merge": "concat"}
    model = DenseNet()
    weights = [m for m in model.modules() if not list(m.children()) and m.state_dict()]
    same(MultiBranch(IMAGE, 10, depth=[7, 8], dilations=[1]), picks, model, weights)


def test_terms_of_other_sizes_and_filters_are_pooled_and_projected() -> None:
    """A shortcut past a layer of stride 2 and other filters, summed by hand."""
    picks: dict[str, Any] = {"order": "conv_norm_relu", "depth": 2, "dense": 0}
    picks |= layer(0, 8) | layer(1, 16, 3, 2) | joined("layer1", 1, 0)
    picks |= joined("output", 1, 0) | {"output.merge": "sum"}
    space = MultiBranch(IMAGE, 10, depth=[1, 2], dilations=[1])
    network = Network(build(space, Architecture(picks))).eval()
    randomised(network)
    ops, x = network.ops, torch.randn(2, *IMAGE.shape)
    first = ops["layer0"](x)
    second = ops["layer1"](first)
    conv, norm = ops["into_output:project0"]
    total = norm(conv(functional.avg_pool2d(first, 2))) + second
    expected = ops["classifier"](total.mean((2, 3)))
    assert torch.allclose(network(x), expected, rtol=1e-5, atol=1e-5)


def test_what_is_not_connected() -> None:
    """It reads the image, and goes into the output, unasked (Zoph & Le 2017, section 3.3)."""
    picks: dict[str, Any] = {"order": "norm_relu_conv", "depth": 3, "dense": 0}
    for i in range(3):
        picks |= layer(i, 8 * (1 + i % 2)) | joined(f"layer{i}", i)
    space = MultiBranch(IMAGE, 10, filters=[8, 16], dilations=[1])
    graph = build(space, Architecture(picks | {"output.merge": "concat"}))
    for i in range(3):
        node = graph[f"layer{i}"]
        assert node.inputs[0].id == "input"
        assert node.op.parts() == (Conv(8 * (1 + i % 2), 3),)  # without norm and ReLU
    assert [n.id for n in graph["into_output/merge"].inputs] == ["layer0", "layer1", "layer2"]
    assert graph["into_output/merge"].type.shape[0] == 8 + 16 + 8


def test_sizes_that_are_equal_by_chance_may_differ_at_another_resolution() -> None:
    """Strides 2 x 2 and 2 x 3 leave two of eight pixels, but two and one of six."""
    picks: dict[str, Any] = {"order": "conv_norm_relu", "depth": 4, "dense": 0}
    for i, stride in enumerate((2, 2, 2, 3)):
        sources = (i - 1,) if i % 2 else ()
        picks |= layer(i, 8, 3, stride) | joined(f"layer{i}", i, *sources)
    picks |= joined("output", 1) | {"output.from2": False, "output.merge": "sum"}
    space = MultiBranch(TensorType((1, 8, 8)), 3, strides=[1, 2, 3], dilations=[1])
    graph = build(space, Architecture(picks))
    assert graph["layer1"].type == graph["layer3"].type
    smaller = scale(graph, 1.0, TensorType((1, 6, 6)))
    assert smaller["into_output/merge"].type.shape == (8, 1, 1)


@settings(deadline=None, max_examples=40)
@given(SEEDS, SIZES, SIZES, st.sampled_from(MERGES), st.floats(0.05, 1))
def test_every_network_is_valid_at_any_width_and_resolution(
    seed: int, size: tuple[int, int], other: tuple[int, int], merges: Any, width: float
) -> None:
    space = MultiBranch(
        TensorType((3, *size)),
        4,
        filters=[1, 3, 7],
        strides=[1, 2, 3],
        pools=[2, 3, 4, 5],
        merges=merges,
    )
    graph = build(space, sample(space, np.random.default_rng(seed)))
    joins = {type(n.op) for n in graph if len(n.inputs) > 1 and n.id.endswith("merge")}
    assert joins <= {{"sum": Sum, "concat": Concat}[merge] for merge in merges}
    smaller = scale(graph, width, TensorType((3, *other)))
    assert [n.id for n in smaller] == [n.id for n in graph]
    for built in (graph, smaller):
        x = torch.randn(2, *built.input.type.shape)
        assert Network(built).eval()(x).shape == (2, 4)


@given(st.sampled_from([2, 3, 4, 5, 6, 7]), SIZES, st.sampled_from(["max", "avg"]))
def test_pools_leave_what_their_stride_says(window: int, size: tuple[int, int], kind: str) -> None:
    if window > min(size):
        return
    space = Chain(TensorType((2, *size)), 3, depth=[1], types=["pool", "conv"], pools=[window])
    picks = {"layer0.type": "pool", "layer0.pool": kind, "dense": 0}
    node = build(space, Architecture(picks))["layer0"]
    assert isinstance(node.op, Pool)
    stride = window if window % 2 == 0 else (window + 1) // 2
    assert node.op.stride == stride
    assert node.type.shape[1:] == tuple(-(-s // stride) for s in size)
    pooled = node.op.module(node.inputs[0].type)(torch.ones(1, 2, *size))
    assert pooled.shape[1:] == node.type.shape
    assert (pooled == 1).all()  # padding counts for nothing


@pytest.mark.parametrize("cls", [Chain, MultiBranch])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": [0, 1]}, "depth must be different numbers, at least 1"),
        ({"filters": []}, "filters must be"),
        ({"filters": [8, 8]}, "filters must be different"),
        ({"kernels": [3, 4]}, r"kernels must be odd, got \[4\]"),
        ({"strides": [0]}, "strides must be"),
        ({"dilations": [0]}, "dilations must be"),
        ({"pools": [1]}, "pools must be different numbers, at least 2"),
        ({"dense": [-1]}, "dense must be"),
        ({"units": [0]}, "units must be"),
        ({"dropout": [-0.1]}, "dropout must be"),
        ({"dropout": [0.5, 1.0]}, "dropout must be below 1"),
        ({"types": ["pool"]}, "pools alone"),
        ({"types": ["convolution"]}, "types must be different ones of conv, separable, pool"),
    ],
)
def test_mistakes(cls: type[Space], options: dict[str, Any], message: str) -> None:
    with pytest.raises(HwnasError, match=message) as caught:
        cls(IMAGE, 10, **options)
    name = {"Chain": "chain", "MultiBranch": "multi_branch"}[cls.__name__]
    assert caught.value.message.startswith(f"{name}: ")


@pytest.mark.parametrize("option", ["merges", "orders"])
def test_mistakes_in_connections(option: str) -> None:
    with pytest.raises(HwnasError, match=f"multi_branch: {option} must be"):
        MultiBranch(IMAGE, 10, **{option: ["both"]})


@pytest.mark.parametrize("cls", [Chain, MultiBranch])
def test_images_only(cls: type[Space]) -> None:
    with pytest.raises(HwnasError, match="must be an image"):
        cls(TensorType((6,), "int64", 5), 10)
