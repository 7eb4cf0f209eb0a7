"""The page of a run, and its pictures."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.track._page import table, tag
from hwnas.track.number import number
from hwnas.track.picture import _scale, _staircase, canvas, curve_picture, front_picture
from hwnas.track.report import report
from tests.unit.run_folder import deliver, search

_VOID = {"meta", "img"}


class Page(HTMLParser):
    """Text of a page; tags must be closed in their order, and nothing may be fetched."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        assert name not in {"script", "link", "iframe"}
        self.seen.append(name)
        if name not in _VOID:
            self.open.append(name)
        for key, value in attrs:
            assert key not in {"href", "srcset"} and not key.startswith("on")
            assert key != "src" or (value or "").startswith("data:image/")

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data + " "


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_promised_beside_delivered(folder: Path) -> None:
    deliver(folder, search(folder, 30))
    page = Page(report(folder))
    words = " ".join(page.text.split())
    assert "promised 2 ms, delivered 3 ms , 1.50 times as much" in words
    assert "test error 6.25%" in words
    assert "1.50 ×" in words
    assert "A & B" in words
    assert "toy <run>" in words
    assert page.seen.count("img") == 2
    assert "Before you deploy" not in words


@pytest.mark.parametrize(
    ("delivered", "said"),
    [
        ({"fallback": "there is no <GPU>"}, "there is no <GPU>"),
        ({"parity": 0.01}, "differ from the network's by up to 1.0e-02"),
        ({"parity": math.nan}, "differ from the network's"),
        ({"latency_ms": 7.0}, "delivered latency [ms] 7 passes the limit 5"),
    ],
)
def test_warnings(folder: Path, delivered: dict[str, Any], said: str) -> None:
    deliver(folder, search(folder, 30), **delivered)
    text = " ".join(Page(report(folder)).text.split())
    assert "Before you deploy" in text
    assert said in text


def test_any_stage_may_be_missing(folder: Path) -> None:
    folder.mkdir()
    assert "Nothing has been searched yet" in Page(report(folder)).text
    front = search(folder, 30)
    assert "30 networks were tried, 1 of them failed" in Page(report(folder)).text
    deliver(folder, front)
    (folder / "profiled.json").unlink()
    Page(report(folder))
    (folder / "estimated.json").unlink()
    Page(report(folder))


def test_nothing_on_the_front(folder: Path) -> None:
    front = search(folder, 8)
    for trial in front["trials"]:
        trial.update(front=False, failed="it broke", metrics={})
    front.update(hypervolume=0.0, share=0.0, curve=[[i, 0.0] for i in range(1, 9)])
    (folder / "front.json").write_text(json.dumps(front))
    assert "0 are on the front" in Page(report(folder)).text


@given(st.text())
def test_text_is_escaped(text: str) -> None:
    page = Page(str(tag("p", text)) + str(table([text], [[text]], cls=text)))
    assert page.seen == ["p", "div", "table", "thead", "tr", "th", "tbody", "tr", "td"]


def test_numbers() -> None:
    values = [0.0123456, 5, 9999, 12_345, 1_280_000, 2.5e9, "none", True]
    shown = ["0.01235", "5", "9999", "12.35 k", "1.28 M", "2.5 G", "none", "True"]
    assert [number(v) for v in values] == shown


@pytest.mark.parametrize("objectives", [1, 2, 3])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_pictures(folder: Path, tmp_path: Path, objectives: int, scale: float) -> None:
    """Of any number of objectives, spanning little or many decades (x by its id)."""
    front = search(folder, 20)
    front["objectives"] = front["objectives"][:objectives]
    for trial in front["trials"]:
        if trial["metrics"]:
            trial["metrics"]["latency_ms"] *= scale ** (trial["id"] % 3)
    sizes = []
    winners = [t["id"] for t in front["trials"] if t["front"]][:1]
    for draw in (lambda p: front_picture(front, p, winners), lambda p: curve_picture(front, p)):
        path = tmp_path / "new folder" / "picture.png"
        draw(path)
        from matplotlib.image import imread

        pixels = imread(path)
        sizes.append(pixels.shape[1])
        assert pixels.std() > 0.05
    assert len(set(sizes)) == 1


@pytest.mark.parametrize("least", [0.0, 0.001])
def test_one_bad_network_does_not_squeeze_the_others(least: float) -> None:
    """They lie apart however bad it is, with one that has no error at all too."""
    places = [(1.0, least), (1.0, 0.01), (1.0, 0.02), (1.0, 0.9)]
    _, axes = canvas()
    _scale(axes, places)
    heights = axes.transAxes.inverted().transform(axes.transData.transform(places))[:, 1]
    assert np.diff([0, *heights, 1]).min() > 0.03
    ticks = axes.get_yticks()
    assert ((ticks == 0) | (ticks >= min(y for _, y in places if y) / 10)).all()
    assert (0 in ticks) == (least == 0)


@given(
    st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=1, max_size=20),
    st.sampled_from(["min", "max"]),
    st.sampled_from(["min", "max"]),
)
def test_the_line_bounds_the_points(
    places: list[tuple[float, float]], x_goal: str, y_goal: str
) -> None:
    sx, sy = (1 if x_goal == "min" else -1), (1 if y_goal == "min" else -1)
    line = _staircase(places, x_goal, y_goal)
    for (x0, y0), (x1, y1) in pairwise(line):
        assert x0 == x1 or y0 == y1  # nothing between two points is promised
        assert sx * x1 >= sx * x0
        assert sy * y1 <= sy * y0
    for x, y in places:
        assert any(sx * cx <= sx * x and sy * cy <= sy * y for cx, cy in line if (cx, cy) in places)


def test_what_the_strategy_tells_of_itself(folder: Path) -> None:
    front = search(folder, 12)
    plain = Page(report(folder))
    assert "Diagnostics" not in plain.text
    assert "About the search" not in plain.text
    told = [(i, {"entropy": 1 - i / 9, "eigenvalue": 40.0 * i}) for i in range(9)]
    more = {"diagnostics": told, "warnings": ["It collapses & burns. Stop early."]}
    (folder / "front.json").write_text(json.dumps(front | more))
    page = Page(report(folder))
    assert "Diagnostics" in page.text
    assert page.seen.count("img") == plain.seen.count("img") + 1
    assert "It collapses & burns. Stop early." in page.text


@pytest.mark.parametrize(("sign", "tau"), [(1, "1.00"), (-1, "-1.00")])
def test_how_search_and_retraining_agree(folder: Path, sign: int, tau: str) -> None:
    front = search(folder, 12)
    trials = [t for t in front["trials"] if t["failed"] is None][:5]
    finalists = [
        {
            "id": t["id"],
            "key": f"key{t['id']}",
            "architecture": t["architecture"],
            "metrics": {"error": 0.5 + sign * t["metrics"]["error"]},
            "runs": [],
        }
        for t in trials
    ]
    about = {"metric": "error", "epochs": 30, "seeds": 1, "finalists": finalists}
    (folder / "estimated.json").write_text(json.dumps(about))
    page = Page(report(folder))
    assert f"in the search and retrained: {tau}" in " ".join(page.text.split())
    assert ("ranks networks by error otherwise" in page.text) == (sign < 0)
