"""Checks of estimators that take relaxed points."""

import math
from typing import Literal

import numpy as np

from hwnas.core.mixture import Mixture
from hwnas.core.proposal import Proposal
from hwnas.core.space import Space
from hwnas.space.replay import relax
from hwnas.testing._require import require
from hwnas.testing.bench import Bench


def check_mixture(bench: Bench) -> None:
    """With ``mixture`` relaxed points are trained and scored."""
    if "mixture" not in bench.estimator().provides:
        return
    mixture = _mixture(bench.space, np.random.default_rng(0))
    (scored, silent) = bench.run([Proposal(0, mixture, 1), Proposal(1, mixture, 1, score=0)])
    require(scored.failed is None and silent.failed is None, f"it failed: {scored.failed}")
    require(bool(scored.metrics), "a scored mixture has no metrics.")
    require(silent.spent.train >= 1, "training that is not scored costs nothing.")


def check_gradient(bench: Bench) -> None:
    """With ``gradient`` the gradient is that of the metric given, by finite differences."""
    provides = bench.estimator().provides
    if "gradient" in provides:
        _differentiate(bench, 1)
    if "second_order" in provides:
        require("gradient" in provides, "second_order without gradient makes no sense.")
        _differentiate(bench, 2)


def _differentiate(bench: Bench, order: Literal[1, 2]) -> None:
    """Compare proposals without training: all of them see the same weights and data."""
    # A wider step would cross a kink of some ReLU, where order 2 jumps.
    rng, step = np.random.default_rng(order), 1e-7
    _, choices = relax(bench.space)
    at = _mixture(bench.space, rng)
    way = {n: rng.standard_normal(len(c.options)) for n, c in choices.items()}
    points = [
        Mixture({n: at.weights(c) + h * way[n] for n, c in choices.items()})
        for h in (0.0, step, -step)
    ]
    proposals = [Proposal(i, p, 0, score=0, gradient=order) for i, p in enumerate(points)]
    warm = Proposal(99, at, 1, score=0)
    _, middle, plus, minus = bench.run([warm, *proposals])
    require(middle.failed is None, f"it failed: {middle.failed}")
    main = bench.estimator().metrics[0].name
    require(main in middle.gradients, f"{main} has no gradient.")
    for name, gradients in middle.gradients.items():
        for choice in choices.values():
            shape = gradients[choice.name].shape
            require(shape == (len(choice.options),), f"d {name} / d {choice.name} is {shape}.")
        slope = sum(float(gradients[n] @ way[n]) for n in choices)
        measured = (plus.metrics[name] - minus.metrics[name]) / (2 * step)
        require(
            math.isclose(slope, measured, rel_tol=1e-3, abs_tol=1e-5),
            f"the gradient of {name} (order {order}) says {slope:.6f} where differences say"
            f" {measured:.6f}.",
        )


def _mixture(space: Space, rng: np.random.Generator) -> Mixture:
    _, choices = relax(space)
    return Mixture({n: rng.dirichlet(np.ones(len(c.options))) for n, c in choices.items()})
