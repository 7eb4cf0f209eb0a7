"""The contract suite of a component, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from hwnas.core.errors import HwnasError
from hwnas.core.estimator import Estimator
from hwnas.core.registry import Kind, discover
from hwnas.core.space import Space
from hwnas.core.strategy import Strategy
from hwnas.testing.bench import estimator_bench
from hwnas.testing.case import strategy_case
from hwnas.testing.estimator import ESTIMATOR_CHECKS
from hwnas.testing.fakes import FakeTask
from hwnas.testing.grounds import space_grounds
from hwnas.testing.space import SPACE_CHECKS
from hwnas.testing.strategy import STRATEGY_CHECKS


class Result(NamedTuple):
    """Whether a check passed, and why not."""

    check: str
    ok: bool
    message: str


_BASES: dict[Kind, type[Any]] = {"spaces": Space, "strategies": Strategy, "estimators": Estimator}


def kind_of(cls: type[Any]) -> Kind:
    """The kind of component that a class is. Raises :class:`HwnasError` if it has no suite."""
    for kind, base in _BASES.items():
        if isinstance(cls, type) and issubclass(cls, base):
            return kind
    raise HwnasError(
        f"{getattr(cls, '__qualname__', cls)!r} has no contract suite.",
        f"Allowed: subclasses of {', '.join(base.__name__ for base in _BASES.values())}.",
    )


def check(kind: Kind, cls: type[Any], spaces: Collection[str] | None = None) -> list[Result]:
    """Run the suite of ``kind`` on a class, with small options: one result a check.

    A strategy is checked in those of ``spaces``, by default all found, that it fits. Raises
    :class:`HwnasError` if there is none, or if the class does not accept small options.
    """
    suites: dict[str, Callable[[type[Any]], Iterator[Result]]] = {
        "spaces": _space,
        "strategies": partial(_strategy, spaces=spaces),
        "estimators": _estimator,
    }
    if kind not in suites:
        raise HwnasError(f"there is no suite for {kind}.", f"Allowed: {', '.join(suites)}.")
    return list(suites[kind](cls))


def _space(cls: type[Space]) -> Iterator[Result]:
    grounds = space_grounds(cls)
    for one in SPACE_CHECKS:
        yield _result(one, grounds)


def _estimator(cls: type[Estimator]) -> Iterator[Result]:
    for one in ESTIMATOR_CHECKS:
        with TemporaryDirectory() as folder:
            yield _result(one, estimator_bench(cls, None, None, Path(folder)))


def _strategy(cls: type[Strategy], spaces: Collection[str] | None) -> Iterator[Result]:
    task, fits, reason = FakeTask(), 0, None
    for name in discover("spaces") if spaces is None else spaces:
        try:
            space = space_grounds(name, input=task.input, outputs=task.outputs).space
            case = strategy_case(cls, None, space)
        except HwnasError as error:  # does not fit this space
            reason = error
            continue
        fits += 1
        for one in STRATEGY_CHECKS:
            yield _result(one, case, f" in {name}")
    if not fits and reason is not None:
        raise reason


def _result(one: Callable[[Any], None], subject: Any, where: str = "") -> Result:
    name = one.__name__.removeprefix("check_") + where
    try:
        one(subject)
    except Exception as error:  # noqa: BLE001 - whatever a plug-in raises is its result
        return Result(name, False, f"{type(error).__name__}: {error}")
    return Result(name, True, (one.__doc__ or "").strip())
