"""SMASH and GHN train on random networks, then score others without training."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from hwnas.core import Architecture, HwnasError, Outcome, Space
from hwnas.core.pareto import front
from hwnas.search.sharing._warmed import Warmed
from hwnas.search.sharing.ghn import GHN
from hwnas.search.sharing.smash import SMASH
from hwnas.space.moves import every
from hwnas.testing.play import Play
from tests.unit.searching import CELL, TINY, context, distance

BOTH: list[type[SMASH] | type[GHN]] = [SMASH, GHN]


def trials(strategy: Warmed) -> list[Outcome]:
    return [o for o in Play(strategy).run() if o.proposal.is_trial]


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("space", [CELL, TINY])
def test_random_networks_are_trained_then_others_scored(
    cls: type[SMASH] | type[GHN], space: Space
) -> None:
    """One at a time in the first phase; also in a space that has no supernet."""
    strategy = cls(context(9, space=space), steps=6)
    assert strategy.required == {"shared"}
    outcomes = Play(strategy, slots=3, order=np.random.default_rng(0)).run()
    asked = [(o.proposal.train, o.proposal.score) for o in outcomes]
    assert asked == [(1, 0)] * 6 + [(0, None)] * 9
    assert all(isinstance(o.proposal.point, Architecture) for o in outcomes)


def uniform(outcomes: list[Outcome]) -> bool:
    """Whether each of the five options of every edge comes as often (one in a thousand are not)."""
    networks, mean = [o.proposal.architecture for o in outcomes], len(outcomes) / 5
    counts = [Counter(network[name] for network in networks) for name in networks[0]]
    return all(
        len(count) == 5 and sum((n - mean) ** 2 / mean for n in count.values()) < 18.5
        for count in counts
    )


@pytest.mark.parametrize("cls", BOTH)
def test_networks_to_train_are_uniform(cls: type[SMASH] | type[GHN]) -> None:
    assert uniform(Play(cls(context(1), steps=600)).run()[:600])


def test_ghn_scores_random_networks() -> None:
    assert uniform(trials(GHN(context(600), steps=1)))


def test_another_strategy_may_choose_what_ghn_scores() -> None:
    found = trials(GHN(context(60), steps=1, strategy={"name": "nsga2", "population": 10}))
    errors = [o.metrics["error"] for o in found]
    assert np.mean(errors[-20:]) < np.mean(errors[:20])


@pytest.mark.parametrize("objectives", [1, 2])
def test_smash_perturbs_the_best_after_random_networks(objectives: int) -> None:
    strategy = SMASH(context(60, objectives), steps=3, random=0.5)
    goals = strategy.context.objectives
    found = trials(strategy)
    networks = [o.proposal.architecture for o in found]
    assert len(set(networks)) == 60
    values = np.array([goals.values(o.metrics) for o in found])
    bases = set()
    for i in range(30, 60):
        best = front(values[:i], np.zeros(i))
        near = [j for j in best if distance(networks[j], networks[i]) == 1]
        assert near
        bases.update(near)
    assert len(bases) > 1  # it moves on to what is better
    apart = [min(distance(a, b) for b in networks[:i]) for i, a in enumerate(networks[1:30], 1)]
    assert np.mean(apart) > 2
    assert values[30:, 0].mean() < values[:30, 0].mean()


def test_smash_without_perturbation_is_random() -> None:
    networks = [o.proposal.architecture for o in trials(SMASH(context(40), steps=1, random=1.0))]
    assert np.mean([distance(a, b) for a, b in pairwise(networks)]) > 4


def test_smash_goes_on_at_random_while_nothing_works() -> None:
    outcomes = Play(SMASH(context(10), steps=1, random=0.0), fails=lambda _: True).run()
    assert len(outcomes) == 11


def test_smash_repeats_itself_where_there_is_nothing_new() -> None:
    networks = [o.proposal.architecture for o in trials(SMASH(context(20, space=TINY), steps=1))]
    assert set(networks[:6]) == set(every(TINY))
    assert len(networks) == 20


@pytest.mark.parametrize("cls", BOTH)
def test_no_steps_are_a_mistake(cls: type[SMASH] | type[GHN]) -> None:
    with pytest.raises(HwnasError, match=r"search\.steps: must be at least 1"):
        cls(context(), steps=0)


def test_the_share_of_random_networks_is_checked() -> None:
    with pytest.raises(HwnasError, match=r"search\.random: must be from 0 to 1"):
        SMASH(context(), random=2.0)
