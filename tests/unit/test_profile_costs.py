"""Parameters and FLOPs: equal to torch and fvcore on the whole module, exact in expectation."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice
from hwnas.core.mixture import Mixture
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.setting import Setting
from hwnas.core.space import Pick, Space
from hwnas.core.tensor_type import TensorType
from hwnas.graph.blocks import conv_norm_relu
from hwnas.graph.graph import Graph, Node
from hwnas.graph.ops.conv import Conv
from hwnas.graph.ops.global_pool import GlobalPool
from hwnas.graph.ops.identity import Identity
from hwnas.graph.ops.linear import Linear
from hwnas.graph.ops.sum import Sum
from hwnas.profile.cost import cost, network_cost
from hwnas.profile.flops import Flops
from hwnas.profile.params import Params
from hwnas.space.chain import Chain
from hwnas.space.moves import sample, walk
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.space.nn.network import Network
from hwnas.space.replay import build, relax

IMAGE = TensorType((3, 16, 16))
CELLS = NasBench201(IMAGE, 10, cells=1, channels=4)
CHAIN = Chain(IMAGE, 10)
PROFILERS = pytest.mark.parametrize("profiler", [Flops, Params])


class Nested(Space):
    """Options that build several nodes, one of them with a choice within, and gated inputs."""

    def graph(self, pick: Pick) -> Graph:
        """Two mixes of the same choice, then a sum over two of three candidates."""
        g = Graph(self.input)

        def deep(x: Node) -> Node:
            x = g.add("first", Conv(6, 3), x)
            x = pick.op("inner", x, {"wide": Conv(6, 5), "narrow": Conv(6, 1)})
            return g.add("last", Conv(4, 1), x)

        x = g.add("stem", Conv(4, 3), g.input)
        for i in range(2):
            with g.scope(f"block{i}"):
                x = pick.op("outer", x, {"skip": Identity(), "conv": Conv(4, 3), "deep": deep})
        edges = {
            label: g.add(f"edge{label}", conv_norm_relu(4, kernel), x)
            for label, kernel in (("a", 1), ("b", 3), ("c", 5))
        }
        x = g.add("sum", Sum(), *pick.inputs("from", edges, 2).values())
        x = g.add("pool", GlobalPool(), x)
        return g.finish(g.add("classifier", Linear(self.outputs), x))


def setting(space: Space) -> Setting:
    return Setting(space, task=None)  # type: ignore[arg-type]  # no profiler of costs reads it


def mixture(space: Space, rng: np.random.Generator) -> Mixture:
    """Random weights; those of a choice of inputs are probabilities of being among the k."""
    weights = {}
    for name, choice in relax(space)[1].items():
        drawn = rng.dirichlet(np.ones(len(choice.values)))
        weights[name] = sum(
            p * np.asarray(choice.weights(v)) for p, v in zip(drawn, choice.values, strict=True)
        )
    return Mixture(weights)


def completed(profiler: Any, point: Any, gradient: Any = 1) -> Outcome:
    return profiler.complete(Outcome(Proposal(0, point, train=0, gradient=gradient)))


@pytest.mark.parametrize("space", [CELLS, CHAIN], ids=["nas_bench_201", "chain"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_equal_to_fvcore_and_torch_on_the_whole_module(space: Space, seed: int) -> None:
    architecture = sample(space, np.random.default_rng(seed))
    graph = build(space, architecture)
    network = Network(graph).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(network, torch.zeros(1, *IMAGE.shape))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        total, operators = analysis.total(), analysis.by_operator()
    found = network_cost(graph)
    assert found.flops == total == Flops(setting(space)).measure(architecture)["flops"]
    assert dict(found.by_operator) == {name: n for name, n in operators.items() if n}
    assert found.params == sum(p.numel() for p in network.parameters())
    assert found.params == Params(setting(space)).measure(architecture)["params"]
    assert found.buffers == sum(b.numel() for b in network.buffers())


def test_counting_leaves_the_random_generator_alone() -> None:
    before = torch.get_rng_state()
    cost.cache_clear()
    assert cost(Conv(7, 3), TensorType((5, 9, 9))).params == 7 * 5 * 9
    assert torch.equal(torch.get_rng_state(), before)


def test_a_block_shares_the_signatures_of_its_primitives() -> None:
    block, image = conv_norm_relu(8, 3), TensorType((3, 8, 8))
    conv = cost(Conv(8, 3), image)
    whole = cost(block, image)
    assert whole.flops == conv.flops + 2 * 8 * 8 * 8
    assert whole.params == conv.params + 2 * 8
    assert dict(whole.by_operator) == {"conv": 8 * 3 * 9 * 64, "batch_norm": 2 * 8 * 64}


@PROFILERS
@pytest.mark.parametrize("space", [CELLS, Nested(IMAGE, 10)], ids=["nas_bench_201", "nested"])
def test_gradient_is_that_of_finite_differences(profiler: Any, space: Space) -> None:
    point = mixture(space, np.random.default_rng(1))
    profile = profiler(setting(space))
    name = profile.metrics[0].name
    gradient = completed(profile, point).gradients[name]
    weights = {n: np.asarray(w) for n, w in point.to_json()["weights"].items()}
    step = 1e-3
    assert set(gradient) == set(weights)
    for choice, w in weights.items():
        for i in range(len(w)):
            ends = []
            for sign in (1, -1):
                moved = w.copy()
                moved[i] += sign * step
                outcome = completed(profile, Mixture({**weights, choice: moved}))
                ends.append(outcome.metrics[name])
            # central differences are exact for a polynomial linear in each weight
            assert gradient[choice][i] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-3)


@PROFILERS
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_one_hot_mixture_costs_what_the_architecture_does(profiler: Any, seed: int) -> None:
    architecture = sample(CELLS, np.random.default_rng(seed))
    point = Mixture({n: architecture.weights(c) for n, c in relax(CELLS)[1].items()})
    profile = profiler(setting(CELLS))
    assert completed(profile, point).metrics == profile.measure(architecture)
    assert completed(profile, architecture).metrics == profile.measure(architecture)


@PROFILERS
def test_expectation_is_the_mean_over_all_architectures(profiler: Any) -> None:
    space = Nested(IMAGE, 10)
    profile, rng = profiler(setting(space)), np.random.default_rng(3)
    name = profile.metrics[0].name
    choices = relax(space)[1]
    shares = {n: rng.dirichlet(np.ones(len(c.values))) for n, c in choices.items()}
    weights = {
        n: sum(p * np.asarray(c.weights(v)) for p, v in zip(shares[n], c.values, strict=True))
        for n, c in choices.items()
    }
    mean = 0.0
    for taken in itertools.product(*(range(len(c.values)) for c in choices.values())):
        at = dict(zip(choices, taken, strict=True))

        def decide(choice: Choice, at: Mapping[str, int] = at) -> Any:
            return choice.values[at[choice.name]]

        probability = np.prod([shares[n][i] for n, i in at.items()])
        mean += probability * profile.measure(walk(space, decide))[name]
    assert completed(profile, Mixture(weights)).metrics[name] == pytest.approx(mean, rel=1e-12)


def test_gradients_only_where_wanted_and_failures_untouched() -> None:
    profile = Flops(setting(CELLS))
    point = mixture(CELLS, np.random.default_rng(0))
    assert completed(profile, point, gradient=0).gradients == {}
    kept = Outcome(Proposal(0, point, train=0, gradient=1), failed="out of memory")
    assert profile.complete(kept) is kept
    architecture: Architecture = sample(CELLS, np.random.default_rng(0))
    assert set(completed(profile, architecture).metrics) == {"flops"}
