"""PPO: neural architecture search by proximal policy optimisation."""

from typing import Any

import numpy as np

from hwnas.core.context import Context
from hwnas.search._options import above, at_least
from hwnas.search.policy._policy import Drawn, Policy


class PPO(Policy):
    """A recurrent controller that takes several steps on a batch, but not far from where it drew.

    Each of ``epochs`` steps of Adam goes up the clipped surrogate of Schulman et al. (equation 7),
    whose time steps are the answers: one stops to count where its probability has left
    ``[1 - clip, 1 + clip]`` times that when it was drawn, in the direction of the advantage. That
    is the reward less an exponential moving average (``decay``) of those before, as in Zoph et al.
    2018 (appendix), who have no value network; their ``entropy`` bonus is added.

    Their learning rate is 0.00035, their bonus 1e-5 and their LSTM of 100 units, for thousands of
    networks; the defaults here are for hundreds.
    """

    paper = (
        "Zoph et al. 2018, Learning transferable architectures (NASNet), arXiv:1707.07012;"
        " Schulman et al. 2017, Proximal policy optimization, arXiv:1707.06347"
    )

    def __init__(
        self,
        context: Context,
        *,
        batch: int = 20,
        epochs: int = 8,
        clip: float = 0.2,
        lr: float = 0.01,
        **options: Any,
    ) -> None:
        super().__init__(context, batch=batch, lr=lr, **options)
        at_least(1, epochs=epochs)
        above(0, clip=clip)
        self._epochs = epochs
        self._clip = clip

    def _improve(self, batch: list[Drawn], advantages: np.ndarray) -> None:
        old = np.zeros((len(batch), max(len(drawn.log_probs) for drawn in batch)))
        for row, drawn in zip(old, batch, strict=True):
            row[: len(drawn.log_probs)] = drawn.log_probs
        for _ in range(self._epochs):
            self._controller.ascend(
                self.context.space,
                [drawn.architecture for drawn in batch],
                np.array([drawn.preference for drawn in batch]),
                lambda new: slopes(new, old, advantages[:, None], self._clip) / len(batch),
                self._entropy,
            )


def slopes(new: np.ndarray, old: np.ndarray, advantages: np.ndarray, clip: float) -> np.ndarray:
    """The derivatives of clipped surrogates (Schulman et al., equation 7) by log-probabilities.

    They are 0 where the ratio has left ``[1 - clip, 1 + clip]`` in the advantage's direction.
    """
    ratio = np.exp(new - old)
    inside = np.where(advantages > 0, ratio < 1 + clip, ratio > 1 - clip)
    return np.asarray(inside * ratio * advantages)
