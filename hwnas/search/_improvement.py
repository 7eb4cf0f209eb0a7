"""Expected hypervolume improvement."""

from functools import cached_property

import numpy as np


class Improvement:
    """What a network of uncertain objectives is expected to add to the hypervolume of a front.

    The region that no point of ``front [n, n_objectives]`` dominates, up to the ``reference
    [n_objectives]``, is cut into disjoint boxes (Lacour, Klamroth & Fonseca 2017, A box
    decomposition algorithm to compute the hypervolume indicator); in a box the expectation over
    independent normal objectives is a product (Yang et al. 2019, Efficient computation of expected
    hypervolume improvement using box decomposition algorithms). An objective that is known has a
    deviation of zero. With one objective it is the expected improvement. Everything is minimised.
    """

    def __init__(self, front: np.ndarray, reference: np.ndarray) -> None:
        self._front = np.asarray(front, float).reshape(-1, len(reference))
        self._reference = np.asarray(reference, float)

    @cached_property
    def boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corners, shape ``[n_boxes, n_objectives]`` each; lower may be -inf."""
        m = len(self._reference)
        upper = self._reference[None]
        # defining[u, j] is the point that bounds u in objective j: at first one on the border.
        defining = np.full((1, m, m), -np.inf)
        defining[0, range(m), range(m)] = self._reference
        inside = self._front[(self._front < self._reference).all(axis=1)]
        for point in np.unique(inside, axis=0):
            hit = (point < upper).all(axis=1)
            if not hit.any():
                continue
            uppers, points = [upper[~hit]], [defining[~hit]]
            for j in range(m):
                others = np.delete(defining[hit], j, axis=1)[:, :, j]
                kept = point[j] >= others.max(axis=1, initial=-np.inf)
                below, by = upper[hit][kept], defining[hit][kept]
                below[:, j] = point[j]
                by[:, j] = point
                uppers.append(below)
                points.append(by)
            upper, defining = np.concatenate(uppers), np.concatenate(points)
        lower = np.full_like(upper, -np.inf)
        for j in range(1, m):
            lower[:, j] = defining[:, :j, j].max(axis=1)
        return lower, upper

    def __call__(
        self, mean: np.ndarray, deviation: np.ndarray, logarithmic: np.ndarray | None = None
    ) -> np.ndarray:
        """Expectations, shape ``[n]``, of means and standard deviations ``[n, n_objectives]``.

        They are those of the logarithm where ``logarithmic [n_objectives]`` says so.
        """
        lower, upper = self.boxes
        product = np.ones((len(mean), len(upper)))
        for j in range(mean.shape[1]):
            below = _below_lognormal if logarithmic is not None and logarithmic[j] else _below
            # Few distinct bounds stand in the many boxes.
            bounds, index = np.unique(np.append(lower[:, j], upper[:, j]), return_inverse=True)
            length = below(bounds, mean[:, [j]], deviation[:, [j]])
            product *= length[:, index[len(lower) :]] - length[:, index[: len(lower)]]
        return np.asarray(product.sum(axis=1))


def _below(bound: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """How much of a line below ``bound`` a normal value is expected to dominate."""
    from scipy.special import ndtr

    gap = bound - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        z = gap / deviation
        normal = gap * ndtr(z) + deviation * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    known = np.maximum(gap, 0.0)
    return np.where(np.isneginf(bound), 0.0, np.where(deviation > 0, normal, known))


def _below_lognormal(bound: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """The same of a value whose logarithm is normal."""
    from scipy.special import ndtr

    positive = np.maximum(bound, np.finfo(float).tiny)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (np.log(positive) - mean) / deviation
        part = np.exp(mean + deviation**2 / 2) * ndtr(z - deviation)
    lognormal = np.maximum(positive * ndtr(z) - part, 0.0)
    known = np.maximum(positive - np.exp(mean), 0.0)
    return np.where(bound <= 0, 0.0, np.where(deviation > 0, lognormal, known))
