"""Directions spread evenly over the simplex."""

import numpy as np


def directions(objectives: int, most: int) -> np.ndarray:
    """At most ``most`` directions that sum to one, shape ``[n, n_objectives]`` (Das & Dennis 1998).

    With fewer partitions than objectives every one of them lies on the border; the rest of
    ``most`` then makes a second layer half way to the centre (Deb & Jain 2014, section V).
    """
    outer, partitions = _layer(objectives, most)
    if objectives == 1 or partitions >= objectives or len(outer) == most:
        return outer
    inner, _ = _layer(objectives, most - len(outer))
    return np.vstack([outer, (inner + 1 / objectives) / 2]) if partitions else outer


def _layer(objectives: int, most: int) -> tuple[np.ndarray, int]:
    """The largest simplex lattice of at most ``most`` points, and its partitions."""
    from pymoo.util.ref_dirs import get_reference_directions
    from pymoo.util.reference_direction import get_partition_closest_to_points

    partitions = get_partition_closest_to_points(most, objectives)
    lattice = get_reference_directions("das-dennis", objectives, n_partitions=partitions)
    return np.asarray(lattice), partitions
