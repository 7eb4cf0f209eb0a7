"""Cell spaces: what a cell puts out, what is dropped, auxiliary heads, sizes, numbers."""

from math import comb, prod
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core.architecture import Architecture
from hwnas.core.errors import HwnasError
from hwnas.core.tensor_type import TensorType
from hwnas.graph.graph import Graph, Node
from hwnas.graph.op import Op
from hwnas.graph.ops.concat import Concat
from hwnas.graph.ops.conv import Conv
from hwnas.graph.ops.drop_path import DropPath
from hwnas.graph.scale import scale
from hwnas.profile.cost import cost, network_cost
from hwnas.profile.footprint import footprint
from hwnas.profile.memory import peak_bytes
from hwnas.space._nasnet_operations import OPERATIONS, operations
from hwnas.space.darts import Darts
from hwnas.space.moves import sample
from hwnas.space.nasnet import NasNet
from hwnas.space.nn.network import Network
from hwnas.space.replay import build, relax

IMAGE = TensorType((3, 16, 16))
TINY = NasNet(IMAGE, 5, cells=1, filters=4, operations="enas")
REACH = NasNet(IMAGE, 5, cells=1, filters=4, operations="enas", output="unreached")


def drawn(space: Any, seed: int = 0) -> tuple[Architecture, Graph]:
    """A random architecture of a space, and its network."""
    architecture = sample(space, np.random.default_rng(seed))
    return architecture, build(space, architecture)


def put_out(graph: Graph, cell: str) -> list[str]:
    """The states that a cell's output consists of; a lone one is what the classifier reads."""
    if f"{cell}/out" in {node.id for node in graph}:
        out = graph[f"{cell}/out"]
        assert isinstance(out.op, Concat)
        ids = [node.id for node in out.inputs]
    else:
        ids = [graph["head"].inputs[0].id]
    return [id.rpartition("/")[2] for id in ids]


def reads(architecture: Architecture, cell: str) -> dict[int, set[int]]:
    """The states that each block reads."""
    sides = ("left", "right")
    return {
        b: {int(architecture[f"{cell}.{b}.{side}.input"]) for side in sides}  # type: ignore[arg-type]
        for b in range(2, 7)
    }


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_what_no_block_uses_is_put_out(seed: int) -> None:
    architecture, graph = drawn(TINY, seed)
    read = reads(architecture, "normal")
    loose = [b for b in read if not any(b in states for states in read.values())]
    assert put_out(graph, "stage2/cell0") == [f"block{b}" for b in loose]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_what_the_last_block_is_not_built_on_is_put_out(seed: int) -> None:
    architecture, graph = drawn(REACH, seed)
    for cell, scope in (("normal", "stage2/cell0"), ("reduction", "stage2/reduction")):
        read = reads(architecture, cell)
        if cell == "reduction" and f"{scope}/out" not in {n.id for n in graph}:
            continue

        def built_on(block: int, read: dict[int, set[int]] = read) -> set[int]:
            return {block}.union(*(built_on(state) for state in read.get(block, ())))

        inputs = ("out0", "out1") if cell == "reduction" else ("in0", "in1")
        names = [*inputs, *(f"block{b}" for b in range(2, 7))]
        kept = [i for i in range(7) if i == 6 or i not in built_on(6)]
        assert put_out(graph, scope) == [names[i] for i in kept]


@pytest.mark.parametrize(
    ("name", "number"), [("nasnet", 13), ("amoebanet", 8), ("pnas", 8), ("enas", 5)]
)
def test_operations_of_the_papers(name: str, number: int) -> None:
    assert len(OPERATIONS[name]) == number
    for stride, size in ((1, 9), (2, 5)):
        for op in operations(name, 8, stride, 0.0).values():
            assert op.infer(TensorType((8, 9, 9))).shape == (8, size, size)


def parts(node: Node) -> tuple[Op, ...]:
    """The primitives of a node."""
    assert node.op is not None
    return node.op.parts()


def test_dropped_paths_of_nasnet_grow_with_depth_and_spare_the_identity() -> None:
    space = NasNet(IMAGE, 5, cells=2, filters=4, drop_path=0.4)
    met = set()
    for seed in range(8):
        rates: dict[str, set[float]] = {}
        for node in drawn(space, seed)[1]:
            dropped = [op.rate for op in parts(node) if isinstance(op, DropPath)]
            chosen = ".op/" in node.id
            met.add((chosen and node.id.endswith("/identity"), bool(dropped)))
            assert len(dropped) == (chosen and not node.id.endswith("/identity"))
            rates.setdefault(node.id.rpartition("/normal.")[0], set()).update(dropped)
        steps = {"stage0/cell0": 1, "stage0/cell1": 2, "stage1/cell0": 4, "stage2/cell1": 8}
        for cell, step in steps.items():
            assert all(rate == pytest.approx(0.4 * step / 8) for rate in rates.get(cell, ()))
    assert met == {(True, False), (False, True), (False, False)}


def test_dropped_paths_of_darts_are_the_same_everywhere_but_not_of_identities() -> None:
    space = Darts(IMAGE, 5, cells=4, channels=4, drop_path=0.2)
    for seed in range(8):
        for node in drawn(space, seed)[1]:
            dropped = [op.rate for op in parts(node) if isinstance(op, DropPath)]
            spared = node.id.endswith("/none") or (
                "/normal." in node.id and node.id.endswith("/skip_connect")
            )
            if "reduction." in node.id and int(node.id.split(".")[2]) > 1:
                spared = spared or node.id.endswith("/skip_connect")
            assert dropped == ([0.2] if ".op/" in node.id and not spared else [])


@pytest.mark.parametrize("size", [1, 4, 7, 32])
@pytest.mark.parametrize("cls", [Darts, NasNet])
def test_an_auxiliary_head_trains_and_is_not_part_of_the_network(cls: Any, size: int) -> None:
    image = TensorType((3, size, size))
    space, plain = cls(image, 5, cells=2, auxiliary=0.4), cls(image, 5, cells=2)
    architecture, graph = drawn(space)
    ((_, weight),) = graph.auxiliary
    assert weight == 0.4
    assert network_cost(graph) == network_cost(build(plain, architecture))
    network = Network(scale(graph, 0.125), auxiliary=True)
    result, auxiliary = network(torch.randn(4, 3, size, size))
    assert result.shape == auxiliary.shape == (4, 5)
    auxiliary.square().sum().backward()
    gradients = [p.grad for p in network.auxiliary.parameters()]
    assert any(bool(g.abs().sum() > 0) for g in gradients if g is not None)
    assert network.ops["classifier"].weight.grad is None  # type: ignore[union-attr]
    assert network.eval()(torch.randn(1, 3, size, size)).shape == (1, 5)


def test_the_auxiliary_head_is_that_of_the_papers() -> None:
    """In DARTS it is on 8x8 values, of which the pool leaves 2x2."""
    _, graph = drawn(Darts(TensorType((3, 32, 32)), 10, auxiliary=0.4))
    network = Network(graph, auxiliary=True)
    expected = 576 * 128 + 2 * 128 + 128 * 768 * 4 + 2 * 768 + 768 * 10 + 10
    assert sum(p.numel() for p in network.auxiliary.parameters()) == expected


def test_every_node_of_darts_sums_two_inputs() -> None:
    for seed in range(5):
        _, graph = drawn(Darts(IMAGE, 5, cells=3, channels=4), seed)
        for node in graph:
            if "/node" in node.id:
                sources = [int(i.id.split(".")[2]) for i in node.inputs]
                assert len(set(sources)) == 2
                assert max(sources) < int(node.id.rpartition("node")[2])


def test_darts_relaxes_every_input_and_operation() -> None:
    graph, choices = relax(Darts(IMAGE, 5, cells=3, channels=4))
    assert len(choices) == 2 * (3 + 14)  # inputs of all nodes but the first, 2 + 3 + 4 + 5 edges
    assert [len(t.gates) for t in graph["cell0/node5"].inputs] == [1] * 5
    assert [len(t.gates) for t in graph["cell0/node2"].inputs] == [0] * 2


def test_nasnet_says_which_choice_cannot_be_relaxed() -> None:
    with pytest.raises(HwnasError, match=r"'normal\.2\.left\.input'") as caught:
        relax(TINY)
    assert caught.value.hint


def test_numbers_of_architectures_are_the_papers() -> None:
    """PNAS: 5.6e14 cells; DARTS: 1e18 pairs of cells without ``none``."""
    assert NasNet(IMAGE, 5, operations="pnas").count() ** 0.5 == pytest.approx(5.6e14, rel=0.01)
    without = prod(comb(k + 1, 2) * 7**2 for k in range(1, 5)) ** 2
    assert Darts(IMAGE, 5).count() == pytest.approx(without * (8 / 7) ** 16)
    assert Darts(IMAGE, 5, cells=2).count() == 180 * 8**8  # both cells reduce


@pytest.mark.parametrize("inside", [False, True])
def test_stages_halve_the_image_and_double_the_filters(inside: bool) -> None:
    space = NasNet(TensorType((3, 9, 6)), 5, cells=2, filters=4, inside=inside)
    architecture, graph = drawn(space)
    ends = {2: "stage2/cell1", 1: "stage1/cell1", 0: "stage0/cell1"}
    for stage, end in ends.items():
        blocks = [n.type.shape for n in graph if n.id.startswith(f"{end}/block")]
        size = {0: (9, 6), 1: (5, 3), 2: (3, 2)}[stage]
        assert set(blocks) == {(4 * 2**stage, *size)}
    cells = {n.id.rpartition("/")[0] for n in graph if n.id.endswith("/in1")}
    assert len(cells) == (6 if inside else 8)
    assert architecture["normal.2.left.input"] in (0, 1)


def test_darts_reduces_at_a_third_and_two_thirds() -> None:
    _, graph = drawn(Darts(TensorType((3, 32, 32)), 10))
    shapes = [graph[f"cell{i}/out"].type.shape for i in range(20)]
    expected = [(144, 32, 32)] * 6 + [(288, 16, 16)] * 7 + [(576, 8, 8)] * 7
    assert shapes == expected


@pytest.mark.parametrize("cls", [Darts, NasNet])
def test_networks_scale(cls: Any) -> None:
    for seed in range(4):
        _, graph = drawn(cls(TensorType((3, 32, 32)), 10, cells=3, auxiliary=0.4), seed)
        small = scale(graph, 0.5, TensorType((3, 11, 11)))
        assert network_cost(small).params < 0.5 * network_cost(graph).params
        assert small.auxiliary[0][0].type.shape == (10,)


def test_rows_and_columns_are_strided_along_themselves() -> None:
    parts = operations("nasnet", 8, 2, 0.0)["conv_1x7_7x1"].parts()
    strides = [part.stride for part in parts if isinstance(part, Conv)]
    assert strides == [1, (1, 2), (2, 1), 1]
    given = TensorType((3, 9, 8))
    row, column = Conv(3, (1, 7), (1, 2)), Conv(3, (7, 1), (2, 1))
    assert row.infer(given).shape == (3, 9, 4)
    assert column.infer(row.infer(given)).shape == (3, 5, 4)
    assert row.module(given)(torch.zeros(2, 3, 9, 8)).shape[2:] == (9, 4)


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (Darts, {"cells": 0}),
        (Darts, {"channels": 0}),
        (Darts, {"nodes": 0}),
        (Darts, {"drop_path": 1.0}),
        (NasNet, {"blocks": 0}),
        (NasNet, {"filters": -1}),
        (NasNet, {"operations": "dart"}),
        (NasNet, {"output": "all"}),
        (NasNet, {"auxiliary": -0.1}),
    ],
)
def test_bad_options_are_named(cls: Any, options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    with pytest.raises(HwnasError) as caught:
        cls(IMAGE, 5, **options)
    assert name in caught.value.message
    assert str(value) in caught.value.message
    assert caught.value.hint


def test_costs_of_a_signature_are_computed_once() -> None:
    """How many networks a second that makes is for ``benchmarks/costs.py``."""
    space = Darts(TensorType((3, 32, 32)), 10)
    architectures = [drawn(space, seed)[0] for seed in range(2)]

    def computed() -> tuple[int, int]:
        for architecture in architectures:
            graph = build(space, architecture)
            network_cost(graph)
            peak_bytes(graph, 1, 4)
        return cost.cache_info().misses, footprint.cache_info().misses

    assert min(computed()) > 0
    assert computed() == computed()
