"""Who goes on to the next rung."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.core.objective import Objectives
from hwnas.core.pareto import fronts
from hwnas.core.preference import Preference


def best(
    objectives: Objectives,
    members: Sequence[Mapping[str, Any]],
    count: int,
    rng: np.random.Generator,
    promoted: Collection[int] = (),
    first: int = 0,
) -> list[int]:
    """Places of the ``count`` best of ``members[first:]``, best first; infeasible ones come last.

    They are taken front by front (Schmucker et al. 2021, MO-ASHA, arXiv:2106.12639), where the
    fronts are those of all ``members``: of a few alone nearly all are on one front. Of a front an
    epsilon-net is taken (Salinas et al. 2021, arXiv:2106.05680): always the one farthest from all
    that were taken or have been ``promoted``, who keep their places. Where there are none it begins
    with the best under a preference that is drawn, so no objective's extreme is favoured. With one
    objective this is the plain order, the first of equals first.
    """
    if not count:
        return []
    values = np.array([m["values"] for m in members])
    span = np.ptp(values, axis=0)
    scaled = values / np.where(span > 0, span, 1.0)
    taken: list[int] = []
    for front in fronts(values, np.array([m["violation"] for m in members])):
        rest = np.sort(front[front >= first])
        kept = np.isin(rest, list(promoted))
        taken += rest[kept].tolist()
        rest = rest[~kept]
        gap = _distance(scaled[rest], scaled[[*promoted, *taken]]).min(axis=1, initial=np.inf)
        while len(rest) and len(taken) < count:
            alone = np.isinf(gap).all()
            at = _preferred(objectives, values[rest], rng) if alone else int(gap.argmax())
            taken.append(int(rest[at]))
            rest, gap = np.delete(rest, at), np.delete(gap, at)
            gap = np.minimum(gap, _distance(scaled[rest], scaled[taken[-1:]])[:, 0])
        if len(taken) >= count:
            break
    return taken[:count]


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean, between all rows, shape ``[len(a), len(b)]``."""
    return np.asarray(np.linalg.norm(a[:, None] - b[None], axis=2))


def _preferred(objectives: Objectives, values: np.ndarray, rng: np.random.Generator) -> int:
    """The best row under a preference that is drawn."""
    metrics = [{o.name: o.sign * v for o, v in zip(objectives, row, strict=True)} for row in values]
    preference = Preference(objectives)
    for m in metrics:
        preference.observe(m)
    violation = np.array([objectives.violation(m) for m in metrics])
    return int(preference.table(values, violation, preference.draw(rng)[None]).argmin())
