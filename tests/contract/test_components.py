"""Everything discovered keeps its contract."""

from typing import Any

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


def cases() -> list[Any]:
    """Every strategy in every space that it does not refuse, and wrapped ones around others."""
    task, found = FakeTask(), []
    for space_name, space in SPACES.items():
        try:
            built = space_grounds(space.cls, input=task.input, outputs=task.outputs).space
        except HwnasError:  # not for images
            continue
        for name, strategy in discover("strategies").items():
            for inner in (None, *discover("strategies").values()):
                quick = space_name in QUICK and inner is None
                marks = () if quick else pytest.mark.slow
                options = small(strategy.cls)
                if inner is not None:
                    options["strategy"] = {"name": inner.name, **small(inner.cls)}
                try:
                    case = strategy_case(strategy.cls, options, built)
                except HwnasError:  # has no key "strategy", or does not fit
                    continue
                around = f"({inner.name})" if inner else ""
                found.append(pytest.param(case, id=f"{name}{around}-{space_name}", marks=marks))
    return found


@pytest.mark.parametrize("check", STRATEGY_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("case", cases())
def test_strategy(case: Case, check: Any) -> None:
    check(case)


def test_every_strategy_fits_some_space() -> None:
    fit = {type_name.values[0].cls for type_name in cases()}
    assert fit == {c.cls for c in discover("strategies").values()}


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
