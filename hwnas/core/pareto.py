"""Non-dominated sorting, hypervolume and knee points, by pymoo.

All arrays are signed values to be minimised, shape ``[n, n_objectives]``. pymoo is imported where
it is used, because ``hwnas list`` must answer at once.
"""

import numpy as np


def fronts(values: np.ndarray, violation: np.ndarray) -> list[np.ndarray]:
    """Row indices front by front (Deb et al. 2002): feasible rows first, then by violation."""
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    feasible = np.flatnonzero(violation <= 0)
    result: list[np.ndarray] = []
    if len(feasible):
        result += [feasible[f] for f in NonDominatedSorting().do(values[feasible])]
    infeasible = np.flatnonzero(violation > 0)
    result += [infeasible[violation[infeasible] == v] for v in np.unique(violation[infeasible])]
    return result


def front(values: np.ndarray, violation: np.ndarray) -> np.ndarray:
    """Row indices of the non-dominated feasible rows, ascending; none if nothing is feasible."""
    if not (violation <= 0).any():
        return np.empty(0, dtype=int)
    return np.sort(fronts(values, violation)[0])


def crowding(values: np.ndarray) -> np.ndarray:
    """Crowding distance of each row of one front (Deb et al. 2002), shape ``[n]``."""
    from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance

    return np.asarray(calc_crowding_distance(values))


def order(values: np.ndarray, violation: np.ndarray) -> np.ndarray:
    """Row indices best first: by front, within a front the less crowded first."""
    ranked = [f[np.argsort(-crowding(values[f]), kind="stable")] for f in fronts(values, violation)]
    return np.concatenate(ranked) if ranked else np.empty(0, dtype=int)


def hypervolume(values: np.ndarray, reference: np.ndarray) -> float:
    """Volume dominated by the rows and bounded by ``reference``."""
    from pymoo.indicators.hv import HV

    inside = values[(values < reference).all(axis=1)] if len(values) else values
    return float(HV(ref_point=reference)(inside)) if len(inside) else 0.0


def knee(values: np.ndarray) -> int:
    """The row nearest to the ideal point when each objective is scaled by its range."""
    low, high = values.min(axis=0), values.max(axis=0)
    scaled = (values - low) / np.where(high > low, high - low, 1.0)
    return int(np.argmin(np.linalg.norm(scaled, axis=1)))
