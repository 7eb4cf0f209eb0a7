"""Hill climbing and Pareto local search."""

import numpy as np
import pytest

from hwnas.core import (
    Architecture,
    Context,
    HwnasError,
    Metric,
    Objective,
    Objectives,
    Outcome,
    Spent,
    Strategy,
    TensorType,
)
from hwnas.core.pareto import fronts
from hwnas.search.local.hill_climbing import HillClimbing
from hwnas.search.local.pareto_local import ParetoLocal
from hwnas.space.morph import Morph
from hwnas.space.moves import neighbours
from tests.unit.searching import CELL, proposals

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def convolutions(architecture: Architecture) -> int:
    return sum(OPS.index(str(op)) for op in architecture.values())


def metrics(architecture: Architecture) -> dict[str, float]:
    """The more of it the better, and the dearer."""
    total = convolutions(architecture)
    return {"error": 1.0 / (1 + total), "cost": float(total)}


def context(
    *names: str,
    seed: int = 0,
    evaluations: int = 200,
    space: object = CELL,
    limit: float | None = None,
) -> Context:
    known = {"error": Metric("error"), "cost": Metric("cost", cheap=True)}
    objectives = [Objective(known[n], limit if n == "cost" else None) for n in names]
    return Context(
        space,  # type: ignore[arg-type]
        Objectives(objectives),
        np.random.default_rng(seed),
        evaluations=evaluations,
        costs=lambda a: {"cost": metrics(a)["cost"]} if space is CELL else {},
    )


def test_a_round_of_hill_climbing_is_of_neighbours_of_the_best() -> None:
    asked = proposals(HillClimbing(context("error", evaluations=33), children=8), metrics)
    known = [p.architecture for p in asked]
    best = known[0]
    for start in range(1, 33, 8):
        children = known[start : start + 8]
        assert {p.parent for p in asked[start : start + 8]} == {asked[known.index(best)].id}
        assert all(child in set(neighbours(CELL, best)) for child in children)
        best = max([best, *children], key=convolutions)
        if best not in children:
            break
    assert convolutions(best) > convolutions(known[0])


def test_it_reaches_a_top_and_starts_again() -> None:
    asked = proposals(HillClimbing(context("error", evaluations=300)), metrics)
    starts = [p for p in asked if p.parent is None]
    assert len(starts) > 1
    assert max(convolutions(p.architecture) for p in asked) == 6 * (len(OPS) - 1)
    assert len({p.architecture for p in asked}) == len(asked)


def test_several_objectives_are_climbed_from_the_front() -> None:
    asked = proposals(HillClimbing(context("error", "cost", evaluations=100)), metrics)
    totals = {convolutions(p.architecture) for p in asked}
    assert max(totals) - min(totals) > 10
    assert sum(p.parent is None for p in asked) < 5


def test_morphisms_grow_the_present_network_which_is_trained_on() -> None:
    space = Morph(TensorType((1, 8, 8)), 3, channels=4, stages=1)
    found = {}

    def score(architecture: Architecture) -> dict[str, float]:
        return {"error": found.setdefault(architecture, 1.0 / (1 + len(found)))}

    asked = proposals(
        HillClimbing(context("error", evaluations=11, space=space), morphisms=2), score
    )
    first, again, *children = asked[:10]
    assert again.point == first.point
    assert again.parent == first.id
    for child in children:
        assert child.parent == first.id
        assert len(space.steps(child.point)) == len(space.steps(first.point)) + 2  # type: ignore[arg-type]
        kinds = {step.kind for step in space.steps(child.point)[-2:]}  # type: ignore[arg-type]
        assert kinds <= space.preserving


def test_pareto_local_tries_neighbours_of_the_front_only() -> None:
    strategy = ParetoLocal(context("error", "cost", evaluations=60), initial=5)
    told: list[Architecture] = []
    for _ in range(60):
        (proposal,) = strategy.ask(1)
        point = proposal.point
        assert isinstance(point, Architecture)
        if len(told) >= 5:
            objectives = strategy.context.objectives
            values = np.array([objectives.values(metrics(a)) for a in told])
            front = fronts(values, np.zeros(len(told)))[0]
            assert any(point in set(neighbours(CELL, told[i])) for i in front)
        assert point not in told
        told.append(point)
        strategy.tell([Outcome(proposal, metrics(point), spent=Spent(1))])


def test_what_would_break_a_cheap_limit_is_left_for_the_end() -> None:
    asked = proposals(
        ParetoLocal(context("error", "cost", evaluations=80, limit=12.0), initial=5), metrics
    )
    later = [convolutions(p.architecture) for p in asked[5:]]
    begun = next(i for i, total in enumerate(later) if total <= 12)
    assert all(total <= 12 for total in later[begun:])
    assert max(later[begun:]) == 12


def test_with_one_objective_it_climbs_to_the_top() -> None:
    for seed in range(5):
        asked = proposals(ParetoLocal(context("error", seed=seed, evaluations=150)), metrics)
        totals = [convolutions(p.architecture) for p in asked]
        assert max(totals) == 6 * (len(OPS) - 1)
        assert totals.index(max(totals)) < 100


def test_it_leaves_a_local_optimum() -> None:
    """All neighbours of the trap are worse; beyond them lies the best."""
    trap = Architecture(dict.fromkeys(["0-1", "0-2", "1-2", "0-3", "1-3", "2-3"], "none"))

    def score(architecture: Architecture) -> dict[str, float]:
        return {"error": 0.01} if architecture == trap else metrics(architecture)

    asked = proposals(ParetoLocal(context("error", evaluations=400)), score)
    assert max(convolutions(p.architecture) for p in asked) == 6 * (len(OPS) - 1)


@pytest.mark.parametrize(
    ("cls", "options", "message"),
    [
        (HillClimbing, {"children": 0}, "children"),
        (HillClimbing, {"morphisms": 0}, "morphisms"),
        (HillClimbing, {"patience": 0}, "patience"),
        (ParetoLocal, {"initial": 0}, "initial"),
        (ParetoLocal, {"spread": -1.0}, "spread"),
    ],
)
def test_mistakes(cls: type[Strategy], options: dict[str, float], message: str) -> None:
    with pytest.raises(HwnasError, match=rf"search\.{message}"):
        cls(context("error"), **options)
