"""Everything discovered keeps its contract."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import cycle
from typing import Any

import pytest

from hwnas.core.errors import HwnasError
from hwnas.core.registry import discover, known_options
from hwnas.core.space import Space
from hwnas.core.tensor_type import TensorType
from hwnas.testing import FakeEstimator, small
from hwnas.testing.estimator import ESTIMATOR_CHECKS, estimator_bench
from hwnas.testing.space import SPACE_CHECKS, space_grounds
from hwnas.testing.strategy import STRATEGY_CHECKS, Case, strategy_case
from tests.contract.tiny import QUICK, small_space

IMAGES = [TensorType((3, 8, 8)), TensorType((1, 4, 4)), TensorType((1, 9, 5))]
SPACES = discover("spaces")
STRATEGIES = discover("strategies")
ESTIMATORS = {**{n: c.cls for n, c in discover("estimators").items()}, "fake": FakeEstimator}


@cache
def for_images(space: str) -> Space | None:
    """A small one on the fake task, None if the space is not for images."""
    try:
        return small_space(space)
    except HwnasError:
        return None


def small_case(strategy: str, inner: str | None, space: str) -> Case:
    """A strategy, around another one if ``inner``. Raises HwnasError if they do not fit."""
    cls, built = STRATEGIES[strategy].cls, for_images(space)
    assert built is not None
    options = small(cls)
    if inner is not None:
        options["strategy"] = {"name": inner, **small(STRATEGIES[inner].cls)}
    return strategy_case(cls, options, built)


def quick() -> Iterator[Any]:
    """Each strategy with each check, which is made in one of the quick spaces, turn about."""
    for name in STRATEGIES:
        fitting = {}
        for space in filter(QUICK.__contains__, SPACES):
            with suppress(HwnasError):
                fitting[space] = small_case(name, None, space)
        for check, space in zip(STRATEGY_CHECKS, cycle(fitting), strict=False):
            yield pytest.param(fitting[space], check, id=f"{name}-{space}-{check.__name__}")


def pairs() -> Iterator[tuple[str, str | None]]:
    """Every strategy alone, and around every other one if it takes one."""
    for name, strategy in STRATEGIES.items():
        yield name, None
        if "strategy" in known_options(strategy.cls):
            yield from ((name, inner) for inner in STRATEGIES)


@pytest.mark.parametrize(("case", "check"), list(quick()))
def test_strategy(case: Case, check: Any) -> None:
    check(case)


# What fits is found out in the test: for all of them it takes longer than the fast tests here.
@pytest.mark.slow
@pytest.mark.parametrize("space", list(filter(for_images, SPACES)))
@pytest.mark.parametrize(("strategy", "inner"), list(pairs()))
def test_strategy_in_every_space(strategy: str, inner: str | None, space: str) -> None:
    try:
        found = small_case(strategy, inner, space)
    except HwnasError as error:
        pytest.skip(error.message)
    for check in STRATEGY_CHECKS:
        check(found)


def test_every_strategy_fits_some_space() -> None:
    def fits(strategy: str, space: str) -> bool:
        try:
            small_case(strategy, None, space)
        except HwnasError:
            return False
        return True

    spaces = [*QUICK, *filter(for_images, SPACES)]  # those that most fit come first
    assert [s for s in STRATEGIES if not any(fits(s, space) for space in spaces)] == []


@pytest.mark.parametrize("check", SPACE_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", SPACES)
def test_space(name: str, check: Any) -> None:
    check(space_grounds(name))


@pytest.mark.parametrize("input", IMAGES, ids=str)
@pytest.mark.parametrize("name", SPACES)
def test_spaces_of_images_take_them_small_and_odd(name: str, input: TensorType) -> None:
    if len(space_grounds(name).space.input.shape) != 3:
        pytest.skip(f"{name} is not for images")
    grounds = space_grounds(name, input=input, samples=6, exports=1)
    for check in SPACE_CHECKS:
        check(grounds)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_two_hundred_networks_of_a_space(name: str) -> None:
    grounds = space_grounds(name, samples=200, exports=200)
    for check in SPACE_CHECKS:
        check(grounds)


@pytest.mark.parametrize("check", ESTIMATOR_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimator(name: str, check: Any, tmp_path: Any) -> None:
    check(estimator_bench(ESTIMATORS[name], None, None, tmp_path))
