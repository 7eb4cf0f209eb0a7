"""Everything discovered keeps its contract."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from hwnas.core.errors import HwnasError
from hwnas.core.registry import discover
from hwnas.core.tensor_type import TensorType
from hwnas.testing import FakeEstimator, FakeTask, small
from hwnas.testing.estimator import ESTIMATOR_CHECKS, estimator_bench
from hwnas.testing.space import SPACE_CHECKS, space_grounds
from hwnas.testing.strategy import STRATEGY_CHECKS, Case, strategy_case
from tests.contract.tiny import QUICK

IMAGES = [TensorType((3, 8, 8)), TensorType((1, 4, 4)), TensorType((1, 9, 5))]
SPACES = discover("spaces")
ESTIMATORS = {**{n: c.cls for n, c in discover("estimators").items()}, "fake": FakeEstimator}


class Named(NamedTuple):
    """A case, and whether it is of those that fast tests take."""

    name: str
    case: Case
    quick: bool


def cases() -> Iterator[Named]:
    """Every strategy in every space that it does not refuse, and wrapped ones around others."""
    task = FakeTask()
    for space_name, space in SPACES.items():
        try:
            built = space_grounds(space.cls, input=task.input, outputs=task.outputs).space
        except HwnasError:  # not for images
            continue
        for name, strategy in discover("strategies").items():
            for inner in (None, *discover("strategies").values()):
                options = small(strategy.cls)
                if inner is not None:
                    options["strategy"] = {"name": inner.name, **small(inner.cls)}
                try:
                    case = strategy_case(strategy.cls, options, built)
                except HwnasError:  # has no key "strategy", or does not fit
                    continue
                around = f"({inner.name})" if inner else ""
                quick = space_name in QUICK and inner is None
                yield Named(f"{name}{around}-{space_name}", case, quick)


CASES = list(cases())


def checks() -> Iterator[Any]:
    """Each case with each check; fast tests make a check in one of the quick spaces, turn about."""
    for name, case, quick in CASES:
        turns = [other.case for other in CASES if other.quick and other.case.cls is case.cls]
        for i, check in enumerate(STRATEGY_CHECKS):
            turn = quick and turns[i % len(turns)] is case
            marks = () if turn else pytest.mark.slow
            yield pytest.param(case, check, id=f"{name}-{check.__name__}", marks=marks)


@pytest.mark.parametrize(("case", "check"), list(checks()))
def test_strategy(case: Case, check: Any) -> None:
    check(case)


def test_every_strategy_fits_some_space() -> None:
    assert {named.case.cls for named in CASES} == {c.cls for c in discover("strategies").values()}


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
