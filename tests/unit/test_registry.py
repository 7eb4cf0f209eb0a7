"""Components are found by name, and mistakes in their configuration are named."""

import subprocess
import sys
from typing import Any

import pytest

from hwnas.core.errors import HwnasError
from hwnas.core.registry import check_options, create, discover, find, known_options, nearest


class Sized:
    """Something with options."""

    def __init__(
        self,
        context: object,
        *,
        population: int = 20,
        share: float = 0.5,
        kinds: list[int] | None = None,
        inner: dict[str, Any] | None = None,
    ) -> None:
        self.population, self.share, self.kinds, self.inner = population, share, kinds, inner


class Plain(Sized):
    """Has no constructor."""


class Larger(Plain):
    """Has an option of its own, another default, and no more kinds."""

    def __init__(
        self,
        context: object,
        kinds: list[int] | None = None,
        *,
        rate: float,
        population: int = 50,
        **options: Any,
    ) -> None:
        super().__init__(context, population=population, kinds=kinds or [7], **options)
        self.rate = rate


class Largest(Larger):
    """Passes on what it has no name for."""

    def __init__(self, context: object, *, share: float = 0.25, **options: Any) -> None:
        super().__init__(context, share=share, **options)


class Closed(Largest):
    """Passes on nothing."""

    def __init__(self, context: object, *, share: float = 0.1) -> None:
        super().__init__(context, share=share, rate=1.0)


def test_what_there_is() -> None:
    assert {"aging", "darts", "hyperband", "nsga2", "random"} <= discover("strategies").keys()
    assert {"chain", "nas_bench_201"} <= discover("spaces").keys()
    assert {"train", "shared"} <= discover("estimators").keys()
    for kind in ("strategies", "spaces", "estimators"):
        for component in discover(kind).values():
            assert component.summary
            assert component.paper, component.name
            assert "\n" not in component.summary
    assert discover("strategies")["aging"].family == "evolution"
    assert discover("strategies")["random"].family == "random"


@pytest.mark.parametrize(
    ("name", "hint"), [("nsga-2", "nsga2"), ("agin", "aging"), ("hyper-band", "hyperband")]
)
def test_an_unknown_name_shows_near_ones(name: str, hint: str) -> None:
    with pytest.raises(HwnasError) as caught:
        find("strategies", name, "search")
    assert caught.value.message.startswith("search.name: ")
    assert repr(name) in caught.value.message
    assert f"Did you mean {hint}" in caught.value.hint


def test_a_name_like_no_other_shows_all() -> None:
    with pytest.raises(HwnasError) as caught:
        find("strategies", "qqq", "search")
    assert "Did you mean" not in caught.value.hint
    assert all(name in caught.value.hint for name in discover("strategies"))
    assert nearest("x", []) == "Allowed: none."


@pytest.mark.parametrize("config", [{}, {"name": 3}, {"name": None}])
def test_a_missing_name(config: dict[str, Any]) -> None:
    with pytest.raises(HwnasError, match=r"search\.name"):
        create("strategies", config, "search", None)


def test_options_are_checked_and_passed_on() -> None:
    options = {"population": 3, "share": 1, "kinds": [1], "inner": {"name": "random"}}
    made = Sized(None, **check_options(Sized, options, "search"))
    assert (made.population, made.share, made.kinds) == (3, 1.0, [1])
    assert made.inner == {"name": "random"}
    assert check_options(Sized, {}, "search") == {}


@pytest.mark.parametrize(
    ("options", "key", "got"),
    [
        ({"populatoin": 3}, "search.populatoin", ""),
        ({"context": 3}, "search.context", ""),
        ({"population": "3"}, "search.population", "'3'"),
        ({"population": 3.5}, "search.population", "3.5"),
        ({"population": True}, "search.population", "True"),
        ({"population": None}, "search.population", "None"),
        ({"share": "half"}, "search.share", "'half'"),
        ({"kinds": 3}, "search.kinds", "3"),
        ({"kinds": [1, "b"]}, "search.kinds.1", "'b'"),
    ],
)
def test_a_wrong_option_names_the_key_and_what_was_got(
    options: dict[str, Any], key: str, got: str
) -> None:
    with pytest.raises(HwnasError) as caught:
        check_options(Sized, options, "search")
    assert key in caught.value.message
    assert got in caught.value.message


def test_an_unknown_key_shows_near_ones() -> None:
    with pytest.raises(HwnasError) as caught:
        check_options(Sized, {"populatoin": 3}, "search")
    assert "Did you mean population?" in caught.value.hint


def test_options_are_inherited_while_they_are_passed_on() -> None:
    assert known_options(Plain) == known_options(Sized)
    inner = (dict[str, Any] | None, None)
    assert list(known_options(Larger).items()) == [
        ("rate", (float, ...)),
        ("population", (int, 50)),
        ("share", (float, 0.5)),
        ("inner", inner),
    ]
    assert list(known_options(Largest).items()) == [
        ("share", (float, 0.25)),
        ("rate", (float, ...)),
        ("population", (int, 50)),
        ("inner", inner),
    ]
    assert known_options(Closed) == {"share": (float, 0.1)}
    assert known_options(object) == {}
    options = {"rate": 2, "inner": {"name": "random"}}
    made = Largest(None, **check_options(Largest, options, "search"))
    assert (made.rate, made.population, made.share, made.kinds) == (2.0, 50, 0.25, [7])
    assert made.inner == {"name": "random"}


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"rate": 1.0, "populatoin": 3}, "search.populatoin: unknown key.", "mean population?"),
        ({"rate": 1.0, "kinds": [1]}, "search.kinds: unknown key.", "Allowed: inner, population"),
        ({"rate": 1.0, "options": {}}, "search.options: unknown key.", "Allowed: inner"),
        ({"rate": 1.0, "population": "3"}, "search.population", ""),
        ({"rate": 1.0, "share": None}, "search.share", ""),
        ({}, "search.rate: field required", ""),
    ],
)
def test_mistakes_in_inherited_options(options: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(HwnasError) as caught:
        check_options(Largest, options, "search")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("das", "weight_decay"),  # it would make every size the smallest
        ("mask_connect", "weight_decay"),
        ("proxyless", "weight_decay"),
        ("proxyless", "betas"),
        ("enas", "redraws"),
    ],
)
def test_what_a_strategy_fixes_is_no_option(name: str, option: str) -> None:
    cls = discover("strategies")[name].cls
    assert {"lr"} < known_options(cls).keys()
    with pytest.raises(HwnasError, match=rf"search\.{option}: unknown key"):
        check_options(cls, {option: 0.1}, "search")


def test_listing_does_not_import_torch() -> None:
    code = (
        "import sys; from hwnas.core.registry import discover; discover('strategies');"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
