"""Choosing among candidates: winners to deliver, and a spread-out shortlist to retrain."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.core import pareto
from hwnas.core.errors import HwnasError
from hwnas.core.objective import Objectives

Metrics = Mapping[str, float]

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
}
_TERM = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*([-+.\w]+)\s*")
_ALLOWED = "Allowed: knee, all, or limits such as 'latency_ms<=5' or 'latency_ms<=5,params<1e6'."


@dataclass(frozen=True)
class Selection:
    """Which candidates were taken, and what the user should know of it (empty: nothing)."""

    indices: list[int]
    note: str = ""


@dataclass(frozen=True)
class _Limit:
    metric: str
    sign: str
    bound: float

    def meets(self, metrics: Metrics) -> bool:
        return self.metric in metrics and _COMPARE[self.sign](metrics[self.metric], self.bound)


def select(candidates: Sequence[Metrics], objectives: Objectives, rule: str) -> Selection:
    """The candidates that ``rule`` takes among those within the limits of ``objectives``.

    ``knee``: the non-dominated one nearest to the ideal point. ``all``: every non-dominated one.
    ``latency_ms<=5,params<1e6``: the best by the first objective, then the others, of those that
    meet every limit. Where nothing is within the limits of ``objectives``, the candidate that
    passes them least is taken and the note says so. Raises :class:`HwnasError` for a rule that
    cannot be read or met.
    """
    limits = parse(rule)
    names = [o.name for o in objectives]
    rows = [
        i
        for i, metrics in enumerate(candidates)
        if all(math.isfinite(metrics.get(name, math.nan)) for name in names)
    ]
    if not rows:
        raise HwnasError(
            f"export.select: none of {len(candidates)} candidates has all of {', '.join(names)}.",
            "Nothing can be selected: look for failed candidates in the stages before.",
        )
    over = {i: objectives.violation(candidates[i]) for i in rows}
    feasible = [i for i in rows if over[i] <= 0]
    pool = _meeting(candidates, feasible or rows, limits, rule)

    def best(i: int) -> tuple[float, ...]:
        return over[i], *objectives.values(candidates[i]), i

    if not feasible:
        nearest = min(pool, key=best)
        return Selection([nearest], _none_feasible(objectives, candidates[nearest], len(rows)))
    if limits:
        return Selection([min(pool, key=best)])
    values = np.stack([objectives.values(candidates[i]) for i in pool])
    front = pareto.front(values, np.zeros(len(values)))
    if rule.strip() == "knee":
        front = front[[pareto.knee(values[front])]]
    return Selection([pool[i] for i in front])


def shortlist(values: np.ndarray, n: int) -> list[int]:
    """At most ``n`` rows of a front that cover it: the knee, then always the row farthest away.

    ``values`` are finite, to be minimised, shape ``[m, n_objectives]``; distances are taken with
    each objective scaled by its range. Farthest-first traversal (Gonzalez 1985, Clustering to
    minimize the maximum intercluster distance): no ``n`` rows cover the front with less than half
    the radius. Ties go to the first row. Raises :class:`HwnasError` if ``n`` < 1.
    """
    if n < 1:
        raise HwnasError(f"estimate.shortlist must be at least 1, got {n}.")
    if len(values) == 0:
        return []
    low, high = values.min(axis=0), values.max(axis=0)
    scaled = (values - low) / np.where(high > low, high - low, 1.0)
    chosen = [pareto.knee(values)]
    distance = np.full(len(values), np.inf)
    while len(chosen) < min(n, len(values)):
        last = chosen[-1]
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[last], axis=1))
        distance[last] = -1.0  # below the distance of an equal row that is not chosen
        chosen.append(int(np.argmax(distance)))
    return chosen


def parse(rule: str) -> list[_Limit]:
    """The limits of a rule; none for ``knee`` and ``all``. Raises :class:`HwnasError`."""
    if rule.strip() in ("knee", "all"):
        return []
    limits = []
    for term in rule.split(","):
        match = _TERM.fullmatch(term)
        try:
            bound = float(match[3]) if match else math.nan
        except ValueError:
            bound = math.nan
        if match is None or math.isnan(bound):
            raise HwnasError(f"export.select: {term.strip()!r} is no rule.", _ALLOWED)
        limits.append(_Limit(match[1], match[2], bound))
    return limits


def _meeting(
    candidates: Sequence[Metrics], rows: list[int], limits: list[_Limit], rule: str
) -> list[int]:
    """The rows that meet every limit, or an error that shows what there is."""
    known = sorted({name for i in rows for name in candidates[i]})
    ranges = []
    for limit in limits:
        have = [candidates[i][limit.metric] for i in rows if limit.metric in candidates[i]]
        if not have:
            raise HwnasError(
                f"export.select: there is no metric {limit.metric!r}.",
                f"The metrics are {', '.join(known)}.",
            )
        ranges.append(f"{limit.metric} is {min(have):.6g} to {max(have):.6g}")
    met = [i for i in rows if all(limit.meets(candidates[i]) for limit in limits)]
    if not met:
        raise HwnasError(
            f"export.select: none of {len(rows)} candidates meets {rule!r}:"
            f" {'; '.join(dict.fromkeys(ranges))}.",
            f"Loosen it, or search longer. {_ALLOWED}",
        )
    return met


def _none_feasible(objectives: Objectives, metrics: Metrics, n: int) -> str:
    passed = (
        f"{o.name} {metrics[o.name]:.6g} (limit {o.limit:.6g})"
        for o in objectives
        if o.limit is not None and o.sign * (metrics[o.name] - o.limit) > 0
    )
    return (
        f"None of {n} candidates is within the limits of the objectives;"
        f" the nearest is taken, with {', '.join(passed)}."
    )
