"""One-shot architecture search: all options in one network, of which others are dropped."""

from typing import Any, Literal

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.mixture import Mixture
from hwnas.search._options import within
from hwnas.search.sharing._warmed import Warmed, searcher
from hwnas.space.replay import relax


class OneShot(Warmed):
    """One network of all options is trained; others are scored by leaving out of it what they lack.

    ``sampling`` decides what each of ``steps`` steps trains:

    - dropout (Bender et al.): the plain sum of the options that are not dropped. An option of a
      choice of k is dropped with a probability that rises linearly from 0 at the first step to
      ``rate ** (1 / k)`` at the last, where ``rate`` is therefore the probability that nothing is
      left of the choice. Then one option at random is kept, which the paper does not do: it would
      cut a network whose choices follow each other.
    - uniform (Guo et al.): one network, each of its choices drawn uniformly.

    Then the networks of the inner ``strategy`` are scored, a one-hot choice each: by default random
    ones, as in Bender et al.; Guo et al. have evolution search here.
    """

    paper = (
        "Bender et al. 2018, Understanding and simplifying one-shot architecture search;"
        " Guo et al. 2019, Single path one-shot NAS with uniform sampling, arXiv:1904.00420"
    )
    needs = frozenset({"shared", "mixture"})

    def __init__(
        self,
        context: Context,
        *,
        sampling: Literal["dropout", "uniform"] = "dropout",
        rate: float = 0.05,
        steps: int = 500,
        strategy: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(context, steps, searcher(context, strategy))
        within(0, 1, rate=rate)
        _, self._choices = relax(context.space)
        self._sampling = sampling
        self._rate = rate

    def _point(self) -> Architecture | Mixture:
        if self._sampling == "uniform":
            return super()._point()
        kept = {name: self._keep(len(c.options)) for name, c in self._choices.items()}
        return Mixture(kept, {name: tuple(np.flatnonzero(w).tolist()) for name, w in kept.items()})

    def _keep(self, k: int) -> np.ndarray:
        """1 for the options of a choice that are not dropped, 0 for the others, shape ``[k]``."""
        rng = self.context.rng
        rate = self._step / max(1, self._steps - 1) * self._rate ** (1 / k)
        kept = rng.random(k) >= rate
        if not kept.any():
            kept[rng.integers(k)] = True
        return np.asarray(kept, dtype=float)
