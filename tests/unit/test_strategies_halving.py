"""Successive halving, ASHA and BOHB do what their papers say, with one objective and several."""

from collections import Counter, defaultdict
from itertools import product

import numpy as np
import pytest

from hwnas.core import (
    Architecture,
    HwnasError,
    Metric,
    Objective,
    Objectives,
    Outcome,
    Proposal,
    Setting,
)
from hwnas.core.outcome import Spent
from hwnas.core.pareto import hypervolume
from hwnas.core.registry import create
from hwnas.core.strategy import Strategy
from hwnas.search.bayes._study import Study
from hwnas.search.halving._halving import rungs
from hwnas.search.halving._promotion import best
from hwnas.search.halving.asha import ASHA
from hwnas.search.halving.bohb import BOHB
from hwnas.search.halving.hyperband import Hyperband
from hwnas.search.halving.successive_halving import SuccessiveHalving
from hwnas.testing import FakeEstimator, FakeTask
from hwnas.testing.play import Play
from tests.property import brute
from tests.unit.searching import CELL, context

HALVINGS: list[type[Strategy]] = [SuccessiveHalving, Hyperband, ASHA, BOHB]


def sizes(outcomes: list[Outcome]) -> list[tuple[int, int]]:
    """Runs of outcomes of the same cumulative training: (number, units)."""
    runs: list[tuple[int, int]] = []
    for o in outcomes:
        if runs and runs[-1][1] == o.spent.train:
            runs[-1] = runs[-1][0] + 1, o.spent.train
        else:
            runs.append((1, o.spent.train))
    return runs


# --- rungs


@pytest.mark.parametrize(
    ("units", "eta", "least", "expected"),
    [
        (81, 3, 1, [1, 3, 9, 27, 81]),
        (200, 16, 12, [12, 200]),
        (200, 16, 13, [200]),
        (200, 4, 12, [12, 50, 200]),
        (27, 3, 9, [9, 27]),
        (1000, 10, 1, [1, 10, 100, 1000]),
        (7, 3, 7, [7]),
    ],
)
def test_rungs_by_hand(units: int, eta: int, least: int, expected: list[int]) -> None:
    assert rungs(units, eta, least) == expected


def test_hyperband_has_brackets_down_to_the_least_units() -> None:
    """R / r_min = 9: the table of R = 9 with all units three times as many."""
    outcomes = Play(Hyperband(context(22, units=27), least=3)).run()
    # s = 2: 9 at 3, 3 at 9, 1 at 27; s = 1: ceil(3/2 * 3) = 5 at 9, 1 at 27; s = 0: 3 at 27.
    assert sizes(outcomes) == [(9, 3), (3, 9), (1, 27), (5, 9), (4, 27)]


# --- who is promoted


def members(values: np.ndarray, violation: np.ndarray | None = None) -> list[dict[str, object]]:
    broken = np.zeros(len(values)) if violation is None else violation
    return [{"values": v, "violation": g} for v, g in zip(values.tolist(), broken, strict=True)]


def goals(count: int) -> Objectives:
    return Objectives([Objective(Metric(f"f{i}")) for i in range(count)])


def test_one_objective_is_the_plain_order_the_first_of_equals_first() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = rng.integers(0, 6, (12, 1)).astype(float)
        count = int(rng.integers(1, 13))
        plain = np.argsort(values[:, 0], kind="stable")[:count]
        assert best(goals(1), members(values), count, rng) == plain.tolist()
        after = best(goals(1), members(values), count, rng, first=4)
        assert after == [i for i in np.argsort(values[:, 0], kind="stable") if i >= 4][:count]


def test_whole_fronts_are_taken_before_any_of_the_next() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        values = rng.random((30, 2))
        rank = {int(i): r for r, front in enumerate(brute.fronts(values)) for i in front}
        for count in (1, 5, 17, 30):
            taken = best(goals(2), members(values), count, rng)
            assert len(set(taken)) == count
            assert sorted(rank[i] for i in taken) == sorted(rank.values())[:count]


def test_of_a_front_the_farthest_from_those_taken_is_next() -> None:
    """Against a plain search, scaled by the range of all."""
    rng = np.random.default_rng(2)
    x = np.sort(rng.random(20))
    values = np.stack([x * 50, (1 - x) ** 2], axis=1)  # one front
    scaled = (values - values.min(axis=0)) / np.ptp(values, axis=0)
    taken = best(goals(2), members(values), 8, rng, promoted={3})
    assert taken[0] == 3  # it keeps its place
    for k in range(1, 8):
        away = [min(np.linalg.norm(scaled[i] - scaled[t]) for t in taken[:k]) for i in range(20)]
        assert away[taken[k]] == pytest.approx(max(away))


def test_no_extreme_is_preferred_when_one_is_taken() -> None:
    """Crowding distance would always take an end of the front."""
    angle = np.linspace(0, np.pi / 2, 9)
    values = 1 - np.stack([np.sin(angle), np.cos(angle)], axis=1)
    rng = np.random.default_rng(3)
    drawn = Counter(best(goals(2), members(values), 1, rng)[0] for _ in range(450))
    assert len(drawn) >= 7
    assert max(drawn.values()) < 200


def test_infeasible_ones_rank_behind() -> None:
    values = np.array([[0.0, 0.0], [5.0, 5.0], [9.0, 9.0], [0.1, 0.1]])
    broken = np.array([0.5, 0.0, 0.0, 0.1])
    rng = np.random.default_rng(0)
    assert best(goals(2), members(values, broken), 4, rng) == [1, 2, 3, 0]


def test_the_promoted_leave_no_room_for_others_of_their_front() -> None:
    values = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [2.0, 2.0]])
    rng = np.random.default_rng(0)
    assert set(best(goals(2), members(values), 2, rng, promoted={0, 1})) == {0, 1}
    assert best(goals(2), members(values), 0, rng) == []


# --- successive halving


@pytest.mark.parametrize("slots", [1, 4])
def test_rounds_of_successive_halving(slots: int) -> None:
    play = Play(SuccessiveHalving(context(2 * 40, units=27)), slots, np.random.default_rng(0))
    assert sizes(play.run()) == [(27, 1), (9, 3), (3, 9), (1, 27)] * 2


def test_the_number_of_networks_is_an_option() -> None:
    outcomes = Play(SuccessiveHalving(context(31), networks=20)).run()
    assert sizes(outcomes) == [(20, 1), (6, 3), (2, 9), (3, 1)]


def test_successive_halving_finds_the_best_of_a_round() -> None:
    """Where the order of the scores is the same on each rung, the best of all is left."""
    outcomes = Play(SuccessiveHalving(context(40, units=27))).run()
    first = [FAKE_ERROR(o.proposal.point) for o in outcomes[:27]]
    assert FAKE_ERROR(outcomes[-1].proposal.point) == min(first)


def FAKE_ERROR(point: object) -> float:
    """The fake error of full training."""
    assert isinstance(point, Architecture)
    (outcome,) = FakeEstimator(Setting(CELL, FakeTask())).estimate([Proposal(0, point, 27)])
    return outcome.metrics["error"]


def test_later_rounds_are_ranked_among_all_scores_of_a_rung() -> None:
    """A network that an earlier round dominates is not promoted while another one is not."""
    strategy = SuccessiveHalving(context(100, objectives=2, units=2), eta=2)
    told = iter([(0.2, 2.0), (0.3, 3.0), (0.2, 2.0), (0.1, 9.0), (0.3, 2.5)])
    trail = []
    for error, flops in told:
        (proposal,) = strategy.ask(1)
        strategy.tell([Outcome(proposal, {"error": error, "flops": flops}, spent=Spent(1))])
        trail.append(proposal)
    assert trail[2].parent == trail[0].id
    (promoted,) = strategy.ask(1)  # (0.3, 2.5) is dominated by the first round's, (0.1, 9) by none
    assert promoted.parent == trail[3].id


# --- ASHA


def algorithm_2(told: dict[int, list[Outcome]], promoted: set[int], eta: int) -> int | None:
    """Li et al. 2020, algorithm 2, get_job: the proposal to be promoted, None for a new one."""
    for units in sorted(told, reverse=True):
        if units == 9:
            continue
        ranked = sorted(told[units], key=lambda o: o.metrics["error"])
        for o in ranked[: len(ranked) // eta]:
            if o.proposal.id not in promoted:
                return o.proposal.id
    return None


@pytest.mark.parametrize("slots", [1, 3, 8])
def test_asha_is_algorithm_2(slots: int) -> None:
    strategy = ASHA(context(150))
    rng = np.random.default_rng(0)
    told: dict[int, list[Outcome]] = defaultdict(list)
    promoted: set[int] = set()
    work: list[Proposal] = []
    points: dict[int, object] = {}
    estimator = FakeEstimator(Setting(CELL, FakeTask()))
    while not strategy.done:
        while len(work) < slots and strategy.asked < 150:
            expected = algorithm_2(told, promoted, 3)
            (proposal,) = strategy.ask(1)  # it never waits
            assert proposal.parent == expected
            if expected is not None:
                promoted.add(expected)
                assert proposal.point == points[expected]
            points[proposal.id] = proposal.point
            work.append(proposal)
        for _ in range(rng.integers(len(work)) + 1):  # so that several rungs have somebody ready
            (outcome,) = estimator.estimate([work.pop(int(rng.integers(len(work))))])
            told[outcome.spent.train].append(outcome)
            strategy.tell([outcome])
    assert set(told) == {1, 3, 9}
    assert len(promoted) > 30


def test_asha_gives_up_the_paused_if_the_inner_strategy_waits_for_them() -> None:
    inner = {"name": "nsga2", "population": 6}
    strategy = create("strategies", {"name": "asha", "strategy": inner}, "search", context(60))
    outcomes = Play(strategy).run()
    assert len(outcomes) == 60
    assert len({o.proposal.point for o in outcomes}) > 12  # several generations
    assert any(o.spent.train == 9 for o in outcomes)


# --- BOHB


def test_bohb_is_hyperband_in_its_brackets() -> None:
    ours = Play(BOHB(context(44), candidates=4)).run()
    assert sizes(ours) == sizes(Play(Hyperband(context(44))).run())


def test_bohb_models_the_largest_training_with_enough_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The model is told one fidelity only, and it is the largest with d + 3 scores (d = 6)."""
    studies: list[list[tuple[str, list[float]]]] = []
    suggest = Study.suggest

    def listen(self: Study, *rest: object) -> Architecture:
        studies.append([(Architecture.from_json(a).key, list(v)) for a, v, _ in self.state()])
        return suggest(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Study, "suggest", listen)
    strategy = BOHB(context(90), random=0.0, candidates=4)
    play = Play(strategy)
    used = set()
    while not strategy.done:
        before, modelled = len(play.told), len(studies)
        play.run(before + 1)
        scores: dict[int, list[tuple[str, list[float]]]] = defaultdict(list)
        for o in play.told[:before]:
            point = o.proposal.point
            assert isinstance(point, Architecture)
            scores[o.spent.train].append((point.key, [o.metrics["error"]]))
        enough = [units for units, told in scores.items() if len(told) >= 9]
        for study in studies[modelled:]:
            assert study == scores[max(enough)]
            used.add(max(enough))
        if play.told[-1].proposal.parent is None and len(studies) == modelled:
            assert not enough  # a new network that was random
    assert used == {1, 3, 9}


def test_a_share_of_bohbs_networks_is_random(monkeypatch: pytest.MonkeyPatch) -> None:
    modelled = []

    def never(self: Study, rng: np.random.Generator, *rest: object) -> Architecture:
        modelled.append(len(self))
        return next(fresh)

    every = (Architecture(dict(zip(NAMES, v, strict=True))) for v in product(*OPTIONS))
    fresh = iter(every)
    monkeypatch.setattr(Study, "suggest", never)
    outcomes = Play(BOHB(context(300))).run()
    new = sum(o.proposal.parent is None for o in outcomes) - 9  # until there is a model
    assert len(modelled) / new == pytest.approx(2 / 3, abs=0.1)


def _choices() -> tuple[list[str], list[list[object]]]:
    from hwnas.space.moves import choices, sample

    met = choices(CELL, sample(CELL, np.random.default_rng(0)))
    return [c.name for c in met], [list(c.values) for c in met]


NAMES, OPTIONS = _choices()


def test_bohb_learns_from_scores_of_little_training() -> None:
    """Of the later networks on the lowest rung more are good than of random ones."""

    def typical(strategy: Strategy) -> float:
        new = [o for o in Play(strategy).run() if o.proposal.parent is None]
        return float(np.median([o.metrics["error"] for o in new[len(new) // 2 :]]))

    ours = [typical(BOHB(context(70, seed=s, units=3), eta=3, candidates=24)) for s in range(3)]
    theirs = [typical(Hyperband(context(70, seed=s, units=3), eta=3)) for s in range(3)]
    assert np.mean(ours) < np.mean(theirs)


# --- all of them


@pytest.mark.parametrize("cls", HALVINGS)
def test_a_network_keeps_its_weights_and_is_trained_on(cls: type[Strategy]) -> None:
    outcomes = Play(cls(context(60, 2)), 3, np.random.default_rng(0)).run()
    told = {o.proposal.id: o for o in outcomes}
    promoted = [o for o in outcomes if o.proposal.parent is not None]
    assert promoted
    for o in promoted:
        parent = told[o.proposal.parent or 0]
        assert o.proposal.point == parent.proposal.point
        assert o.proposal.train == o.spent.train - parent.spent.train
    assert len({o.proposal.parent for o in promoted}) == len(promoted), "one is promoted twice"


@pytest.mark.parametrize("cls", HALVINGS)
def test_with_a_limit_the_feasible_are_promoted(cls: type[Strategy]) -> None:
    """Networks of three sorts: good but too large, small enough, and neither."""
    strategy = cls(context(80, 2, limit=0.5, units=3))
    sort: dict[object, float] = {}
    promoted = []
    while not strategy.done:
        for proposal in strategy.ask(1):
            error = sort.setdefault(proposal.point, (0.9, 0.4, 0.6)[len(sort) % 3])
            if proposal.parent is not None:
                promoted.append(error)
            done = 3 if proposal.parent is not None else proposal.train
            metrics = {"error": error, "flops": 1.0 + (error < 0.5)}
            strategy.tell([Outcome(proposal, metrics, spent=Spent(done))])
    assert set(promoted) == {0.4}


@pytest.mark.parametrize("cls", HALVINGS)
def test_better_than_random_on_a_toy(cls: type[Strategy]) -> None:
    """For the same training units more of the hypervolume; scores of full training only."""

    def volume(name: str, options: dict[str, int], seed: int) -> float:
        ctx = context(24, 2, seed)
        ctx.price = lambda p: p.train / 9
        outcomes = Play(create("strategies", {"name": name, **options}, "search", ctx)).run()
        full = [o for o in outcomes if o.spent.train >= 9]
        values = np.array([ctx.objectives.values(o.metrics) for o in full])
        return hypervolume(values, np.array([1.0, 1.0]))

    name = cls.__module__.rpartition(".")[2]
    ours = [volume(name, {"eta": 9}, seed) for seed in range(3)]
    theirs = [volume("random", {}, seed) for seed in range(3)]
    assert np.mean(ours) > np.mean(theirs)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "successive_halving", "eta": 1}, r"search\.eta"),
        ({"name": "successive_halving", "least": 0}, r"search\.least"),
        ({"name": "hyperband", "least": 10}, r"search\.least"),
        ({"name": "successive_halving", "networks": 0}, r"search\.networks"),
        ({"name": "successive_halving", "strategy": {"name": "asha"}}, "new networks"),
        ({"name": "asha", "eta": 1}, r"search\.eta"),
        ({"name": "asha", "strategy": {"name": "darts"}}, "needs mixture"),
        ({"name": "bohb", "random": 1.5}, r"search\.random"),
        ({"name": "bohb", "candidates": 0}, r"search\.candidates"),
        ({"name": "bohb", "strategy": {"name": "random"}}, r"search\.strategy"),
    ],
)
def test_mistakes(config: dict[str, object], message: str) -> None:
    with pytest.raises(HwnasError, match=message):
        create("strategies", config, "search", context(20))
