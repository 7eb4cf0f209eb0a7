"""What a strategy told of itself, over its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hwnas.track.picture import canvas, finish

_COLOURS = ("#0b7285", "#c92a2a", "#f59f00", "#5f3dc4", "#2b8a3e")


def diagnostics_picture(
    diagnostics: Sequence[tuple[int, Mapping[str, float]]],
    name: str,
    path: Path,
    over: str = "proposal",
) -> None:
    """Write a PNG of all numbers, one line each; those above 1 as shares of their largest.

    They are drawn over the number that comes with them, which is that of a proposal.
    """
    figure, axes = canvas(height=3.2)
    names = list(dict.fromkeys(n for _, numbers in diagnostics for n in numbers))
    for i, metric in enumerate(names):
        places = [(id, numbers[metric]) for id, numbers in diagnostics if metric in numbers]
        largest = max(abs(value) for _, value in places)
        unit = largest if largest > 1 else 1.0
        label = metric.replace("_", " ") + (f" (of {largest:.3g})" if unit != 1.0 else "")
        axes.plot(
            [id for id, _ in places],
            [value / unit for _, value in places],
            color=_COLOURS[i % len(_COLOURS)],
            lw=1.8,
            label=label,
        )
    axes.set_xlabel(over)
    finish(figure, axes, f"{name}: how the search went", path)
