"""Objectives, states and the ask and tell of strategies."""

import pickle
from typing import Any

import numpy as np
import pytest

from hwnas.core import (
    Architecture,
    Choice,
    Context,
    HwnasError,
    Metric,
    Mixture,
    Objective,
    Objectives,
    Outcome,
    Proposal,
    Strategy,
    TensorType,
)
from hwnas.core.state import dumps, loads
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201

ERROR, ACCURACY = Metric("error", worst=1.0), Metric("accuracy", goal="max")
SPACE = NasBench201(TensorType((1, 4, 4)), 3, cells=1, channels=2)


def test_values_are_signed() -> None:
    objectives = Objectives([Objective(ERROR), Objective(ACCURACY)])
    metrics = {"error": 0.25, "accuracy": 0.75, "other": 1.0}
    assert objectives.values(metrics).tolist() == [0.25, -0.75]
    assert objectives.violation(metrics) == 0.0
    assert [o.name for o in objectives] == ["error", "accuracy"]


def test_violation_is_a_share_of_the_limit() -> None:
    objectives = Objectives([Objective(ERROR, 0.2), Objective(ACCURACY, 0.8)])
    assert objectives.violation({"error": 0.2, "accuracy": 0.8}) == 0.0
    assert objectives.violation({"error": 0.3, "accuracy": 0.9}) == pytest.approx(0.5)
    assert objectives.violation({"error": 0.3, "accuracy": 0.4}) == pytest.approx(1.0)
    assert Objectives([Objective(ERROR, 0.0)]).violation({"error": 0.3}) == pytest.approx(0.3)


def test_what_is_a_trial() -> None:
    point = Architecture({"a": 1})
    assert Proposal(0, point, 1).is_trial
    assert not Proposal(0, point, 1, score=0).is_trial
    assert not Proposal(0, Mixture({"a": np.ones(2)}), 1).is_trial


def test_values_of_a_choice() -> None:
    assert Choice("c", ("a", "b")).values == ("a", "b")
    assert Choice("c", (0, 1, 2), k=2).values == ((0, 1), (0, 2), (1, 2))
    assert Choice("c", (0, 1, 2), k=2).weights((0, 2)) == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    "state",
    [{"a": object()}, {"a": {1, 2}}, {"a": Architecture({})}, {"a": np.array([object()])}],
    ids=["object", "set", "architecture", "array of objects"],
)
def test_a_state_holds_arrays_and_json_only(state: Any) -> None:
    with pytest.raises(TypeError, match="state holds"):
        dumps(state)


def test_numpy_numbers_become_plain() -> None:
    state = {"i": np.int64(3), "f": np.float32(0.5), "b": np.bool_(True)}
    assert loads(dumps(state)) == {"i": 3, "f": 0.5, "b": True}


def test_infinities_survive() -> None:
    array = np.array([np.inf, -np.inf, np.nan, -0.0])
    assert loads(dumps(array)).tobytes() == array.tobytes()


def test_an_error_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(HwnasError("what", "hint")))
    assert (error.message, error.hint, str(error)) == ("what", "hint", "what\nhint")


class Walk(Strategy):
    """Two training steps before each trial."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.heard: list[tuple[str, int]] = []

    def _ask(self, n: int) -> list[Proposal]:
        point = sample(self.context.space, self.context.rng)
        steps = [self.context.propose(point, train=1, score=0) for _ in range(2)]
        return [*steps, self.context.propose(point)][:n]

    def _tell(self, outcome: Outcome) -> None:
        self.heard.append(("told", outcome.proposal.id))

    def _lost(self, outcome: Outcome) -> None:
        self.heard.append(("lost", outcome.proposal.id))


def context(evaluations: int = 2) -> Context:
    objectives = Objectives([Objective(ERROR)])
    rng = np.random.default_rng(0)
    return Context(SPACE, objectives, rng, units=7, evaluations=evaluations)


def test_only_trials_count_against_the_budget() -> None:
    strategy = Walk(context())
    first = strategy.ask(3)
    assert [p.train for p in first] == [1, 1]  # never more at once than the budget has left
    assert strategy.progress == (0, 2)
    strategy.tell([Outcome(p, {"error": 0.5}) for p in first])
    assert not strategy.done
    strategy = Walk(context(1000))
    proposals = strategy.ask(3)
    assert [p.is_trial for p in proposals] == [False, False, True]
    assert [p.id for p in proposals] == [0, 1, 2]
    assert proposals[-1].train == 7
    assert strategy.asked == 1
    assert strategy.progress == (0, 1000)
    strategy.tell([Outcome(proposals[2], {"error": 0.5})])
    assert strategy.progress == (1, 1000)
    assert list(strategy.pending) == [0, 1]


def test_failures_are_lost_and_the_others_told() -> None:
    strategy = Walk(context(5))
    a, b, c = strategy.ask(3)
    strategy.tell([Outcome(c, {"error": 0.1}), Outcome(a, failed="no"), Outcome(b, {})])
    assert strategy.heard == [("told", 2), ("lost", 0), ("told", 1)]
    with pytest.raises(HwnasError, match="proposal 2 is not pending"):
        strategy.tell([Outcome(c, {"error": 0.1})])
    with pytest.raises(HwnasError, match="at least one"):
        strategy.ask(0)
