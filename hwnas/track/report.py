"""A run on one page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hwnas.track._finalists import finalists, named, tables
from hwnas.track._page import Html, image, join, page, table, tag
from hwnas.track.diagnostics_picture import diagnostics_picture
from hwnas.track.number import number
from hwnas.track.picture import curve_picture, front_picture

_PARITY = 1e-4  # a larger difference between torch and the file is worth a warning
_COMPARED = 4  # networks at least, before their ranks are compared
_AGREES = 0.3  # Kendall's tau, below which the search's scores say little


def report(folder: Path) -> str:
    """A self-contained HTML page of the run in ``folder``, of whatever stages have been run."""
    front = _read(folder / "front.json")
    models = [_read(path) for path in sorted((folder / "export").glob("*/model.json"))]
    estimated = _read(folder / "estimated.json")
    profiled = _read(folder / "profiled.json")
    objectives = front.get("objectives", [])
    name = front.get("name", folder.resolve().name)
    known = finalists(front, estimated, profiled, models)
    parts = [
        tag("h1", name),
        tag("p", "Hardware-aware neural architecture search by hwnas", cls="soft"),
        _callout("⚠ About the search", [*front.get("warnings", ()), *_disagreement(known, front)]),
        _callout("⚠ Before you deploy", _doubts(models, objectives)),
        _section("Summary", _summary(front, estimated, known, models)),
        *_pictures(front, models),
        _section("Finalists", *tables(known, objectives)) if known else "",
        _network(folder, models),
        _conditions(profiled, models),
        _pipeline(folder / "pipeline.yaml"),
    ]
    return page(f"{name} · hwnas", *parts)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _section(title: str, *inside: object) -> Html:
    return tag("section", tag("h2", title), *inside)


def _callout(title: str, warnings: Sequence[str]) -> Html:
    if not warnings:
        return Html("")
    return tag("div", tag("h2", title), tag("ul", *(tag("li", w) for w in warnings)), cls="warning")


def _agreement(
    known: Sequence[Mapping[str, Any]], front: Mapping[str, Any]
) -> tuple[str, float, int] | None:
    """The first objective, Kendall's tau of its score in the search and retrained, of how many."""
    from scipy.stats import kendalltau

    if not front.get("objectives"):
        return None
    name = front["objectives"][0]["name"]
    pairs = [
        (f["searched"][name], f["retrained"][name])
        for f in known
        if name in f["searched"] and name in f["retrained"]
    ]
    if len(pairs) < _COMPARED:
        return None
    tau = float(kendalltau(*zip(*pairs, strict=True)).statistic)
    return None if math.isnan(tau) else (name, tau, len(pairs))


def _disagreement(known: Sequence[Mapping[str, Any]], front: Mapping[str, Any]) -> Iterator[str]:
    found = _agreement(known, front)
    if found is not None and found[1] < _AGREES:
        name, tau, count = found
        yield (
            f"The search ranks networks by {name.replace('_', ' ')} otherwise than retraining does"
            f" (Kendall tau {tau:.2f} of {count}). Train longer in the search (search.estimator),"
            " or retrain a longer shortlist (estimate.shortlist)."
        )


def _doubts(
    models: Sequence[Mapping[str, Any]], objectives: Sequence[Mapping[str, Any]]
) -> list[str]:
    found = []
    for model in models:
        got = model["delivered"]
        if got.get("fallback"):
            found.append(f"{model['key']} ran on {got['provider']}: {got['fallback']}")
        # A comparison with NaN is false, and NaN is no parity.
        if "parity" in got and not got["parity"] <= _PARITY:
            found.append(
                f"{model['key']}: the file's outputs differ from the network's by up to"
                f" {got['parity']:.1e}, more than {_PARITY:.0e}."
            )
        for o in objectives:
            if o["limit"] is None or o["name"] not in got:
                continue
            value = got[o["name"]]
            if not (value <= o["limit"] if o["goal"] == "min" else value >= o["limit"]):
                found.append(
                    f"{model['key']}: delivered {named(o)} {number(value)} passes the limit"
                    f" {number(o['limit'])}."
                )
    return found


def _summary(
    front: Mapping[str, Any],
    estimated: Mapping[str, Any],
    known: Sequence[Mapping[str, Any]],
    models: Sequence[Mapping[str, Any]],
) -> Html:
    lines: list[object] = []
    if front:
        failed = f", {front['failed']} of them failed" if front["failed"] else ""
        size = sum(t["front"] for t in front["trials"])
        lines.append(
            f"{front['evaluations']} networks were tried{failed}; {size} are on the front."
        )
        covers = f"{front['share']:.1%} of the box up to its reference point"
        lines.append(f"Hypervolume {number(front['hypervolume'])}, {covers}.")
    main = estimated.get("metric", "error")
    scores = [f["retrained"][main] for f in known if main in f["retrained"]]
    if scores:
        spread = " to ".join(dict.fromkeys(_score(main, s) for s in (min(scores), max(scores))))
        seeds = "one seed" if estimated["seeds"] == 1 else f"{estimated['seeds']} seeds"
        lines.append(
            f"{len(scores)} were retrained for {estimated['epochs']} epochs with {seeds}:"
            f" test {main.replace('_', ' ')} {spread}."
        )
    agreement = _agreement(known, front)
    if agreement is not None:
        lines.append(
            f"Kendall tau of their {agreement[0].replace('_', ' ')} in the search and retrained:"
            f" {agreement[1]:.2f}."
        )
    for model in models:
        lines += _delivery(model, main)
    if not lines:
        lines.append("Nothing has been searched yet.")
    return tag("ul", *(tag("li", line) for line in lines), cls="summary")


def _score(metric: str, value: float) -> str:
    return f"{value:.2%}" if metric == "error" else number(value)


def _delivery(model: Mapping[str, Any], main: str) -> Iterator[Html]:
    got, promised = model["delivered"], model["promised"]
    score = f", test {main.replace('_', ' ')} {_score(main, got[main])}" if main in got else ""
    yield join(
        [
            tag("span", "★ ", cls="star"),
            tag("code", f"export/{model['key']}/model.onnx"),
            f": {got['bytes'] / 1e6:.2g} MB{score} in ONNX Runtime ({got['provider']}), ",
            f"parity {got['parity']:.1e}.",
        ]
    )
    if "latency_ms" in promised and "latency_ms" in got:
        before, after = promised["latency_ms"], got["latency_ms"]
        yield join(
            [
                f"Latency: promised {before:.3g} ms, delivered ",
                tag("strong", f"{after:.3g} ms"),
                f", {after / before:.2f} times as much." if before else ".",
            ]
        )


def _pictures(front: Mapping[str, Any], models: Sequence[Mapping[str, Any]]) -> Iterator[Html]:
    if not front:
        return
    with TemporaryDirectory() as temporary:
        path = Path(temporary) / "picture.png"
        front_picture(front, path, [m["id"] for m in models])
        alt = f"Front of {len(front['trials'])} trials"
        yield _section("Front", image(path.read_bytes(), "image/png", alt))
        curve_picture(front, path)
        alt = "Hypervolume over evaluations"
        yield _section("Progress", image(path.read_bytes(), "image/png", alt))
        if front.get("diagnostics"):
            diagnostics_picture(front["diagnostics"], front["name"], path)
            alt = "What the strategy told of itself, over its steps"
            yield _section("Diagnostics", image(path.read_bytes(), "image/png", alt))


def _network(folder: Path, models: Sequence[Mapping[str, Any]]) -> Html:
    inside: list[object] = []
    for model in models:
        picks = [(choice, _joined(taken)) for choice, taken in model["architecture"].items()]
        inside += [tag("h3", tag("code", model["key"])), table([], picks, cls="facts")]
    own = folder / "export" / models[0]["key"] / "network.svg" if models else None
    path = own if own is not None and own.exists() else folder / "network.svg"
    if path.exists():
        if path is not own:
            inside.append(tag("p", "A network of this space:", cls="soft"))
        picture = image(path.read_bytes(), "image/svg+xml", "A network as a graph")
        inside.append(tag("div", picture, cls="tall"))
    return _section("Architecture", *inside) if inside else Html("")


def _conditions(profiled: Mapping[str, Any], models: Sequence[Mapping[str, Any]]) -> Html:
    inside: list[object] = []
    if profiled.get("conditions"):
        inside += [tag("h3", "Measured under"), _facts(profiled["conditions"])]
    for model in models:
        if model["delivered"].get("conditions"):
            inside += [
                tag("h3", "Delivered under: ", tag("code", model["key"])),
                _facts(model["delivered"]["conditions"]),
            ]
    return _section("Conditions", *inside) if inside else Html("")


def _facts(facts: Mapping[str, Any]) -> Html:
    return table([], [(k.replace("_", " "), _joined(v)) for k, v in facts.items()], cls="facts")


def _joined(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_joined(v)}" for k, v in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _pipeline(path: Path) -> Html:
    if not path.exists():
        return Html("")
    body = tag("pre", path.read_text())
    return tag("section", tag("details", tag("summary", "Pipeline, as it was run"), body))
