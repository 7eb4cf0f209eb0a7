"""A picture of a comparison: the hypervolume of each strategy over evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.track.picture import canvas, finish

_MOST = 8  # strategies with a colour and a name of their own; more cannot be told apart


def compare_picture(result: Mapping[str, Any], path: Path) -> None:
    """Write a PNG of ``compare.json``: means over seeds, with bands of their standard error.

    The axis is what is missing to the best hypervolume, so that good ones can be told apart. Of
    many strategies the best and the baseline are in colour, the others are grey.
    """
    from matplotlib.colors import TABLEAU_COLORS
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, axes = canvas(height=4.4)
    rows = result["strategies"]
    named = [r["name"] for r in rows if r["name"] != result["baseline"]][: _MOST - 1]
    colours = dict(zip(named, TABLEAU_COLORS.values(), strict=False))
    colours[result["baseline"]] = "black"
    at = np.arange(1, result["budget"] + 1)
    least = 1.0
    for row in rows:
        # Nothing is missing in the end: on this axis zero has no place.
        missing = np.maximum(1 - np.array(row["mean"]), 1e-5)
        least = min(least, float(missing.min()))
        colour = colours.get(row["name"], "#cbd2d9")
        own = row["name"] in colours
        dashed = "--" if row["name"] == result["baseline"] else "-"
        axes.plot(at, missing, dashed, color=colour, lw=1.8 if own else 1.0, zorder=3 if own else 1,
                  label=row["name"] if own else None)  # fmt: skip
        if own:
            error = np.array(row["std"]) / np.sqrt(result["seeds"])
            axes.fill_between(at, np.maximum(missing - error, 1e-5), missing + error, color=colour,
                              alpha=0.12, linewidth=0, zorder=2)  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(max(least / 1.5, 1e-5), 0.5)
    axes.set_xscale("log")
    axes.set_xlim(max(1, result["budget"] // 100), result["budget"])
    for axis, text in ((axes.yaxis, lambda v, _: f"{100 * v:g} %"), (axes.xaxis, None)):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(text or (lambda v, _: f"{v:g}")))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("evaluations of distinct networks")
    best = "best possible" if result["exact"] else "best found"
    axes.set_ylabel(f"missing to the {best} hypervolume")
    grey = len(rows) - len(colours)
    title = f"{len(rows)} strategies, {result['seeds']} seeds" + (
        f"; {grey} in grey" if grey else ""
    )
    finish(figure, axes, title, path)
