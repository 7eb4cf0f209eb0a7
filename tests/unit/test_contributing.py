"""The examples of CONTRIBUTING.md work as they stand there."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hwnas.core import Context, Metric, Objective, Objectives, Outcome, Space, Strategy, TensorType
from hwnas.core.registry import check_options
from hwnas.core.state import dumps, loads
from hwnas.graph.draw import draw
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.space.replay import build
from tests.data import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
EXAMPLES = dict(re.findall(r"<!-- (\S+) -->\n```python\n(.*?)```", TEXT, re.DOTALL))
OBJECTIVES = Objectives([Objective(Metric("error"))])


def example(path: str) -> SimpleNamespace:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(EXAMPLES[path], path, "exec"), names)
    return SimpleNamespace(**names)


def convolutions(outcome: Any) -> Outcome:
    """An error that falls with the number of 3x3 convolutions, out of 6."""
    count = list(outcome.point.values()).count("nor_conv_3x3")
    return Outcome(outcome, metrics={"error": 1 - count / 6})


def search(strategy: Strategy, steps: int) -> list[dict[str, Any]]:
    found = []
    for _ in range(steps):
        proposals = strategy.ask(2)
        strategy.tell([convolutions(p) for p in proposals])
        found += [p.point.to_json() for p in proposals]
    return found


def climb() -> Strategy:
    cls = example("hwnas/search/local/climb.py").Climb
    context = Context(
        NasBench201(TensorType((3, 8, 8)), 10, cells=1, channels=4),
        OBJECTIVES,
        np.random.default_rng(0),
        evaluations=120,
    )
    result: Strategy = cls(context, **check_options(cls, {"begin": 8}, "search"))
    return result


def test_the_strategy_finds_the_best_and_continues_from_a_snapshot() -> None:
    strategy = climb()
    search(strategy, 20)
    copy = climb()
    copy.load_state_dict(loads(dumps(strategy.state_dict())))
    rest = search(strategy, 40)
    assert rest == search(copy, 40)
    assert set(climb_best(rest).values()) == {"nor_conv_3x3"}
    assert strategy.done


def climb_best(points: list[dict[str, Any]]) -> dict[str, Any]:
    return max(points, key=lambda p: list(p.values()).count("nor_conv_3x3"))


@pytest.mark.parametrize("seed", range(3))
def test_the_space_makes_networks(seed: int) -> None:
    import torch

    from hwnas.space.nn.network import Network

    space: Space = example("hwnas/space/tower.py").Tower(TensorType((3, 32, 32)), 10, width=4)
    architecture = sample(space, np.random.default_rng(seed))
    graph = build(space, architecture)
    assert Network(graph)(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert len(architecture) == 1 + 2 * architecture["stages"]  # type: ignore[operator]
    assert "classifier" in draw(graph)
