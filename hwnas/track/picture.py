"""Pictures of a search: its front, and its hypervolume over evaluations."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _FAINT, _GRID = "#1f2933", "#9aa5b1", "#e4e7eb"
_FRONT, _LIMIT, _WINNER = "#0b7285", "#c92a2a", "#f59f00"
_NAMES = {"flops": "FLOPs", "params": "parameters"}


def front_picture(front: Mapping[str, Any], path: Path, winners: Collection[int] = ()) -> None:
    """Write a PNG of the full-fidelity trials of ``front.json`` by its first two objectives.

    The second lies on x, the first on y; a third is the colour and a fourth the size. The front is
    of all objectives, so members may look dominated; the line joins those that are not, in this
    projection. Limits are dashed and beyond them it is shaded; ``winners`` are ids of trials.
    """
    objectives = front["objectives"]
    trials = [t for t in front["trials"] if t["failed"] is None and t["fidelity"]["full"]]
    figure, axes = canvas()
    y = objectives[0]
    x = objectives[1] if len(objectives) > 1 else None
    places = {t["id"]: (t["metrics"][x["name"]] if x else t["id"], t["metrics"][y["name"]])
              for t in trials}  # fmt: skip
    members = [t for t in trials if t["front"]]
    others = [places[t["id"]] for t in trials if not t["front"]]
    axes.scatter(*_columns(others), s=26, c="#cbd2d9", linewidths=0, label="other trials")
    if x is not None and members:
        line = _staircase([places[t["id"]] for t in members], x["goal"], y["goal"])
        axes.plot(*_columns(line), color=_FRONT, lw=1.4, alpha=0.55, zorder=2)
    _members(figure, axes, members, [places[t["id"]] for t in members], objectives[2:4])
    won = [places[id] for id in winners if id in places]
    if won:
        axes.scatter(*_columns(won), s=330, marker="*", c=_WINNER, edgecolors="white",
                     linewidths=1.2, zorder=5, label="exported")  # fmt: skip
    axes.set_xlabel(_label(x) if x else "trial")
    axes.set_ylabel(_label(y))
    _scale(axes, places.values())
    for objective, vertical in ((x, True), (y, False)):
        if objective is not None and objective["limit"] is not None:
            _limit(axes, objective, vertical)
    title = (
        f"{front['name']}: {len(members)} networks on the front of {len(front['trials'])} trials"
    )
    finish(figure, axes, title, path)


def curve_picture(front: Mapping[str, Any], path: Path) -> None:
    """Write a PNG of the hypervolume over evaluations, from the ``curve`` of ``front.json``."""
    figure, axes = canvas(height=3.2)
    # Nothing is dominated before the first evaluation.
    n, hv = _columns([(0, 0.0), *front["curve"]])
    share = front["share"] / front["hypervolume"] if front["hypervolume"] else 0.0
    values = [100 * v * share for v in hv] if share else hv
    axes.fill_between(n, values, step="post", color=_FRONT, alpha=0.12, linewidth=0)
    axes.step(n, values, where="post", color=_FRONT, lw=2)
    axes.set_xlim(0, max(n) or 1)
    axes.set_ylim(0, (max(values) or 1) * 1.08)
    axes.set_xlabel("evaluations")
    axes.set_ylabel("hypervolume [% of its box]" if share else "hypervolume")
    finish(figure, axes, f"{front['name']}: hypervolume over evaluations", path, legend=False)


def canvas(height: float = 4.6) -> tuple[Figure, Axes]:
    """An empty picture in the style of all, ``height`` in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(color=_GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=_INK, labelsize=9, length=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_FAINT)
    return figure, axes


def finish(figure: Figure, axes: Axes, title: str, path: Path, legend: bool = True) -> None:
    """Write it as a PNG, with its title, and a legend above it."""
    axes.set_title(title, loc="left", fontsize=11, color=_INK, pad=22 if legend else 10)
    if legend:
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.015, 1.0), ncols=3, frameon=False, fontsize=8.5,
            labelcolor=_INK, handletextpad=0.3, columnspacing=1.2, borderpad=0.2, markerscale=0.7,
        ).set_in_layout(False)  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160, format="png")


def _members(
    figure: Figure,
    axes: Axes,
    members: Sequence[Mapping[str, Any]],
    places: Sequence[tuple[float, float]],
    more: Sequence[Mapping[str, Any]],
) -> None:
    from matplotlib.ticker import EngFormatter

    if not members:
        return
    style: dict[str, Any] = {"edgecolors": "white", "linewidths": 1.0, "zorder": 4}
    sizes: Any = 80.0
    label = "front"
    if len(more) > 1:
        values = [m["metrics"][more[1]["name"]] for m in members]
        low, high = min(values), max(values)
        sizes = [50 + 170 * (v - low) / ((high - low) or 1) for v in values]
        label = f"front (size: {_title(more[1])})"
    if not more:
        axes.scatter(*_columns(places), s=sizes, c=_FRONT, label=label, **style)
        return
    colours = [m["metrics"][more[0]["name"]] for m in members]
    points = axes.scatter(
        *_columns(places), s=sizes, c=colours, cmap="viridis_r", label=label, **style
    )
    bar = figure.colorbar(points, ax=axes, pad=0.02, aspect=28)
    if max(colours) >= 10_000:
        bar.ax.yaxis.set_major_formatter(EngFormatter(sep=" "))
    bar.set_label(_label(more[0]), color=_INK, fontsize=9)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8, colors=_INK)


def _limit(axes: Axes, objective: Mapping[str, Any], vertical: bool) -> None:
    """A dashed line at the limit, and shade on the side where nothing may lie.

    A limit out of sight would squeeze the points: the label of its axis tells it instead.
    """
    limit, over = objective["limit"], objective["goal"] == "min"
    unit = f" {objective['unit']}" if objective["unit"] else ""
    told = f"limit {limit:g}{unit}"
    low, high = axes.get_xlim() if vertical else axes.get_ylim()
    if not low < limit < high:
        set_label = axes.set_xlabel if vertical else axes.set_ylabel
        set_label(f"{_label(objective)}, {told}")
        return
    line = axes.axvline if vertical else axes.axhline
    span = axes.axvspan if vertical else axes.axhspan
    line(limit, color=_LIMIT, lw=1.2, ls=(0, (5, 3)), zorder=1)
    span(limit, high if over else low, color=_LIMIT, alpha=0.05, lw=0, zorder=0)
    if vertical:
        axes.text(limit, 0.98, f" {told}", transform=axes.get_xaxis_transform(), va="top",
                  color=_LIMIT, fontsize=8.5)  # fmt: skip
    else:
        axes.text(0.99, limit, told, transform=axes.get_yaxis_transform(), ha="right",
                  va="bottom", color=_LIMIT, fontsize=8.5)  # fmt: skip
    (axes.set_xlim if vertical else axes.set_ylim)(low, high)


def _scale(axes: Axes, places: Collection[tuple[float, float]]) -> None:
    """Logarithmic where the values span much: two decades on x, one on y, where errors lie.

    It is linear from zero to the least other value, if a value is zero.
    """
    from matplotlib.ticker import (
        EngFormatter,
        FixedLocator,
        FormatStrFormatter,
        LogLocator,
        NullFormatter,
    )

    xs, ys = _columns(places)
    for values, axis, much in ((xs, axes.xaxis, 100), (ys, axes.yaxis, 10)):
        if not values:
            continue
        scale, limits = (
            (axes.set_xscale, axes.set_xlim)
            if axis is axes.xaxis
            else (axes.set_yscale, axes.set_ylim)
        )
        low, high = min(values), max(values)
        least = min((v for v in values if v > 0), default=high)
        if low >= 0 and high > much * least:
            ticks = LogLocator(subs=(1, 2, 5) if high < 2000 * least else (1,))
            if low > 0:
                scale("log")
                limits(low / 1.25, high * 1.25)
                axis.set_major_locator(ticks)
            else:
                scale("symlog", linthresh=least, linscale=0.3)
                limits(-0.3 * least, high * 1.25)
                above = [v for v in ticks.tick_values(least, high * 1.25) if v >= least]
                axis.set_major_locator(FixedLocator([0, *above]))
            axis.set_minor_formatter(NullFormatter())
            axis.set_major_formatter(FormatStrFormatter("%g"))
        else:
            margin = 0.07 * (high - low) or abs(high) * 0.1 or 1.0
            limits(max(0.0, low - margin) if low >= 0 else low - margin, high + margin)
        if high >= 10_000:
            axis.set_major_formatter(EngFormatter(sep=" "))


def _staircase(
    places: Sequence[tuple[float, float]], x_goal: str, y_goal: str
) -> list[tuple[float, float]]:
    """The border of what the points dominate, corners included, best x first."""
    sx, sy = (1 if x_goal == "min" else -1), (1 if y_goal == "min" else -1)
    border: list[tuple[float, float]] = []
    best = math.inf
    for x, y in sorted(places, key=lambda p: (sx * p[0], sy * p[1])):
        if sy * y < best:
            if border:
                border.append((x, border[-1][1]))
            border.append((x, y))
            best = sy * y
    return border


def _columns(places: Collection[Sequence[float]]) -> tuple[list[float], list[float]]:
    return [p[0] for p in places], [p[1] for p in places]


def _title(objective: Mapping[str, Any]) -> str:
    """``peak_memory_mb`` in MB is ``peak memory``."""
    name, unit = str(objective["name"]), str(objective["unit"] or "")
    if unit:
        name = name.removesuffix(f"_{unit.lower()}")
    return _NAMES.get(name, name.replace("_", " "))


def _label(objective: Mapping[str, Any]) -> str:
    unit = objective["unit"]
    return f"{_title(objective)} [{unit}]" if unit else _title(objective)
