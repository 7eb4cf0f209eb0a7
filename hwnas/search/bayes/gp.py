"""Bayesian optimisation with Gaussian processes."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.search._guess import Predict, stacked
from hwnas.search._modelled import Modelled
from hwnas.search._options import at_least
from hwnas.space.encoding import Encoding, one_hot

_GROWTH = 1.1  # of the number told, after which hyperparameters are learned again


class GP(Modelled):
    """Asks for the largest expected improvement of the hypervolume under Gaussian processes.

    Each expensive objective has a process of its own, with noise; cheap ones are known. ``kernel``
    says which networks are alike: ``hamming`` weighs the choices in which they differ; ``arc`` puts
    the values of a choice on an arc and its absence in the centre, for conditional spaces (Swersky
    et al. 2014, arXiv:1409.4011); ``latent`` also learns which options are alike, as far apart as
    their places in a space that choices between the same options share (Zhang et al. 2020,
    arXiv:1806.07504).

    What was told is not taken for the truth: the improvement is that over fronts of ``draws`` true
    functions, drawn at the networks told from the posterior, and of a candidate given each
    (Daulton et al. 2021, section 4; Letham et al. 2019, arXiv:1706.07094), here in closed form for
    each. With 0 draws it is over the values told (Emmerich et al. 2006; Daulton et al. 2020,
    arXiv:2006.05078).

    Hyperparameters are learned again from where they were when a tenth more has been told, in at
    most ``iterations`` steps.
    """

    paper = "Daulton et al. 2021, Parallel noisy expected hypervolume improvement, arXiv:2105.08195"

    def __init__(
        self,
        context: Context,
        *,
        startup: int = 10,
        candidates: int = 500,
        kernel: Literal["latent", "hamming", "arc"] = "latent",
        draws: int = 8,
        iterations: int = 25,
    ) -> None:
        super().__init__(context, startup, candidates)
        at_least(0, draws=draws)
        at_least(1, iterations=iterations)
        self._kernel = kernel
        self._draws = draws
        self._iterations = iterations
        self.noisy = draws > 0
        self._learned: list[dict[str, np.ndarray]] = []
        self._learned_from = 0

    def _fit(
        self, architectures: Sequence[Architecture], values: np.ndarray, rng: np.random.Generator
    ) -> Predict:
        from hwnas.search._models.choice_kernels import KERNELS
        from hwnas.search._models.process import Process

        encoding = Encoding(self.context.space)  # a new one: columns are in the order they are told
        rows = encoding(architectures)
        columns = encoding.columns
        known = self._learned or [{} for _ in values.T]
        again = len(rows) >= _GROWTH * self._learned_from
        iterations = self._iterations if again else 0
        x = one_hot(rows, columns)
        processes = [
            Process(KERNELS[self._kernel](columns), x, y, begin, iterations)
            for y, begin in zip(values.T, known, strict=True)
        ]
        if again:
            self._learned, self._learned_from = [p.learned for p in processes], len(rows)
        if self._draws:
            for process in processes:
                process.draw(self._draws, rng)

        def predict(at: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
            points = one_hot(encoding(at)[:, : len(columns)], columns)
            return stacked([process(points) for process in processes])

        return predict

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "learned": self._learned, "learned_from": self._learned_from}

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        self._learned, self._learned_from = state["learned"], state["learned_from"]
