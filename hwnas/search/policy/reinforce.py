"""REINFORCE: neural architecture search by policy gradient."""

from typing import Any

import numpy as np

from hwnas.core.context import Context
from hwnas.search.policy._policy import Drawn, Policy


class Reinforce(Policy):
    """A recurrent controller improved by the policy gradient, against a moving average baseline.

    Section 3.2: the mean over a batch of ``(reward - baseline) * gradient of log P(network)``, by
    Adam; the baseline is the exponential moving average (``decay``) of the rewards before. Networks
    in work may have been drawn before the latest steps, as in the paper's asynchronous updates. An
    ``entropy`` bonus (Williams & Peng 1991) keeps the policy from closing too soon.

    As in the paper there are eight networks in a ``batch``. Its learning rate of 0.0006 is for
    12,800 networks, 1600 steps that change a parameter by 1 at the most, as Adam goes no further
    than ``lr`` a step; the default here has the same reach in the steps of 500 networks. The paper
    has no bonus, here it is that of PPO, and two layers of 35 units.
    """

    paper = (
        "Zoph & Le 2017, Neural architecture search with reinforcement learning, arXiv:1611.01578"
    )

    def __init__(
        self, context: Context, *, batch: int = 8, lr: float = 0.015, **options: Any
    ) -> None:
        super().__init__(context, batch=batch, lr=lr, **options)

    def _improve(self, batch: list[Drawn], advantages: np.ndarray) -> None:
        self._controller.ascend(
            self.context.space,
            [drawn.architecture for drawn in batch],
            np.array([drawn.preference for drawn in batch]),
            lambda _: advantages[:, None] / len(batch),
            self._entropy,
        )
