"""Residual layers of sizes chosen in place, and operations labelled by numbers."""

import pytest

from hwnas.core import Architecture, HwnasError, TensorType
from hwnas.graph.graph import Graph
from hwnas.profile.cost import network_cost
from hwnas.space.filters import Filters
from hwnas.space.moves import every
from hwnas.space.replay import build, relax

IMAGE = TensorType((1, 8, 8))
SMALL = Filters(IMAGE, 10, stages=2, layers=1, channels=2, filters=[2, 3], kernels=[1, 5])


def test_kernels_and_numbers_of_filters_are_ordered() -> None:
    _, found = relax(Filters(IMAGE, 10))
    assert len(found) == 2 * 3 * 2
    assert all(choice.ordered for choice in found.values())
    assert found["stage2/layer1/kernel"].options == (1, 3, 5, 7)
    assert found["stage2/layer1/filters"].options == (16, 32, 64, 128)


def test_a_network_has_the_filters_taken_and_no_others() -> None:
    taken = {"filters": 3, "kernel": 5}, {"filters": 4, "kernel": 1}
    picks = {f"stage{i}/layer0/{n}": v for i, one in enumerate(taken) for n, v in one.items()}
    graph = build(SMALL, Architecture.from_json(Architecture(picks).to_json()))
    layers = [1 * 2 * 9 + 4, 3 * 2 * 25 + 2 * 3 + 3 * 2 + 4]
    layers += [2 * 4 * 9 + 8, 4 * 4 + 2 * 4 + 4 * 4 + 8]
    assert network_cost(graph).params == sum(layers) + 4 * 10 + 10


def test_networks_are_counted() -> None:
    found = list(every(SMALL))
    assert len(found) == len(set(found)) == SMALL.count() == 16
    assert Filters(IMAGE, 10).count() == 16**6


def test_a_size_that_is_not_of_the_space_is_a_mistake() -> None:
    picks = dict(next(every(SMALL)))
    for wrong in (3, "5"):
        with pytest.raises(HwnasError, match="stage0/layer0/kernel"):
            build(SMALL, Architecture(picks | {"stage0/layer0/kernel": wrong}))


@pytest.mark.parametrize(
    "options",
    [{"kernels": [2]}, {"kernels": [5, 3]}, {"filters": [4, 4]}, {"filters": [0]}, {"layers": 0}],
)
def test_mistakes(options: dict[str, list[int]]) -> None:
    with pytest.raises(HwnasError, match=next(iter(options))):
        Filters(IMAGE, 10, **options)  # type: ignore[arg-type]


def test_the_network_is_a_graph_of_plain_layers() -> None:
    graph: Graph = build(SMALL, next(every(SMALL)))
    assert [node.op.label for node in graph if "kernel" in node.id] == ["conv 1x1", "conv 1x1"]
