"""Finding components by file name, and building them from a pipeline file."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

from pydantic import ConfigDict, ValidationError, create_model

from hwnas.core.errors import HwnasError

Kind = Literal["spaces", "strategies", "estimators", "profilers", "tasks"]


@dataclass(frozen=True)
class _Place:
    package: str
    base: str
    singular: str
    families: bool = False


_PLACES: dict[Kind, _Place] = {
    "spaces": _Place("hwnas.space", "hwnas.core.space:Space", "space"),
    "strategies": _Place("hwnas.search", "hwnas.core.strategy:Strategy", "strategy", True),
    "estimators": _Place("hwnas.estimate", "hwnas.core.estimator:Estimator", "estimator"),
    "profilers": _Place("hwnas.profile", "hwnas.core.profiler:Profiler", "profiler"),
    "tasks": _Place("hwnas.task", "hwnas.task.task:Task", "task"),
}


@dataclass(frozen=True)
class Component:
    """A discovered class: ``family`` is the folder it lies in, if its kind has families."""

    name: str
    family: str
    cls: type[Any]

    @property
    def summary(self) -> str:
        """First sentence of its docstring."""
        text = " ".join((inspect.getdoc(self.cls) or "").split("\n\n")[0].split())
        return text.split(". ")[0].rstrip(".").replace("``", "")

    @property
    def paper(self) -> str:
        """Where it was published."""
        return str(getattr(self.cls, "paper", ""))


def load(target: str) -> Any:
    """The object named ``module:attribute``. Raises :class:`HwnasError` if there is none."""
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise HwnasError(
            f"{target} cannot be imported: {error}", "e.g. my_package.my_space:MySpace"
        ) from None


def _modules(package: str, families: bool) -> Iterator[str]:
    """The files that may hold a component; what begins with an underscore does not."""
    path = importlib.import_module(package).__path__
    for found in pkgutil.iter_modules(path):
        name = f"{package}.{found.name}"
        if found.name.startswith("_"):
            continue
        if not found.ispkg:
            yield name
        elif families:
            yield from _modules(name, False)


def defined(module: str, base: type[Any]) -> type[Any] | None:
    """The concrete subclass of ``base`` that a module defines, if it defines one."""
    for cls in vars(importlib.import_module(module)).values():
        if not inspect.isclass(cls) or cls.__module__ != module or inspect.isabstract(cls):
            continue
        if issubclass(cls, base) and cls is not base and not cls.__name__.startswith("_"):
            return cls
    return None


@cache
def discover(kind: Kind) -> dict[str, Component]:
    """Every component of a kind by name: files of the package, then entry points of plug-ins."""
    place = _PLACES[kind]
    base = load(place.base)
    found: dict[str, Component] = {}
    for module in _modules(place.package, place.families):
        cls = defined(module, base)
        if cls is not None:
            name = module.rpartition(".")[2]
            folder = module.removeprefix(f"{place.package}.").split(".")[0]
            found[name] = Component(name, folder, cls)
    for point in entry_points(group=f"hwnas.{kind}"):
        found[point.name] = Component(point.name, "plug-in", point.load())
    return dict(sorted(found.items()))


def nearest(name: str, allowed: list[str]) -> str:
    """A hint: the names that ``name`` may have meant, then all of them."""
    close = get_close_matches(name, allowed, n=3, cutoff=0.5)
    meant = f"Did you mean {' or '.join(close)}? " if close else ""
    return f"{meant}Allowed: {', '.join(sorted(allowed)) or 'none'}."


def find(kind: Kind, name: str, where: str) -> Component:
    """The component called ``name``, or an error that names the key ``where`` and near names.

    A name with a colon is a class of the user's own, ``module:Class``.
    """
    if ":" in name:
        return _own(kind, name, where)
    known = discover(kind)
    if name not in known:
        singular = _PLACES[kind].singular
        raise HwnasError(
            f"{where}.name: there is no {singular} called {name!r}.", nearest(name, list(known))
        )
    return known[name]


def _own(kind: Kind, name: str, where: str) -> Component:
    base, cls = load(_PLACES[kind].base), load(name)
    if not (inspect.isclass(cls) and issubclass(cls, base)):
        raise HwnasError(
            f"{where}.name: {name} is no {_PLACES[kind].singular}.",
            f"Allowed: a subclass of {base.__module__}.{base.__qualname__}.",
        )
    return Component(name, "own", cls)


def create(kind: Kind, config: Mapping[str, Any], where: str, *injected: Any) -> Any:
    """Build the component that ``config`` names, its other keys as keyword options.

    ``where`` is the key in the pipeline file, for messages. An unknown key or a wrong type is a
    :class:`HwnasError`.
    """
    if not isinstance(config.get("name"), str):
        raise HwnasError(
            f"{where}.name: a name is missing, got {dict(config)!r}.",
            f"Allowed: {', '.join(discover(kind))}.",
        )
    cls = find(kind, config["name"], where).cls
    options = {key: value for key, value in config.items() if key != "name"}
    return cls(*injected, **check_options(cls, options, where))


def known_options(cls: type[Any]) -> dict[str, tuple[Any, Any]]:
    """Annotation and default of each option by name, ``...`` if it has none; its own come first.

    They are the keyword-only parameters of the constructor and, if it has ``**options`` to pass on,
    of the next one among the bases, and so on. A parameter hides those of its name in bases; if it
    is not keyword-only, there is no such option.
    """
    known: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(vars(base)["__init__"], eval_str=True).parameters
        known = known | {name: p for name, p in parameters.items() if name not in known}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return {
        name: (p.annotation, ... if p.default is p.empty else p.default)
        for name, p in known.items()
        if p.kind is p.KEYWORD_ONLY
    }


def check_options(cls: type[Any], options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The options, validated against those of :func:`known_options`."""
    fields: dict[str, Any] = known_options(cls)
    unknown = [key for key in options if key not in fields]
    if unknown:
        raise HwnasError(f"{where}.{unknown[0]}: unknown key.", nearest(unknown[0], list(fields)))
    config = ConfigDict(strict=True, arbitrary_types_allowed=True)
    model = create_model(cls.__name__, __config__=config, **fields)
    try:
        valid = model(**options)
    except ValidationError as error:
        raise HwnasError(describe(error, where)) from None
    return {key: getattr(valid, key) for key in options}


def describe(error: ValidationError, where: str = "") -> str:
    """A pydantic error for a person, a line a key: what was got and what is allowed."""
    lines = []
    for e in error.errors():
        parts = [where, *map(str, e["loc"])] if where else list(map(str, e["loc"]))
        got = "" if e["type"] == "missing" else f" (got {e['input']!r})"
        lines.append(f"{'.'.join(parts)}: {e['msg'].lower()}{got}")
    return "\n".join(lines)
