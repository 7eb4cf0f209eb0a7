"""DARTS: differentiable architecture search."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from hwnas.core.choice import Choice, Value
from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.mixture import Mixture
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._options import at_least
from hwnas.search.gradient._adam import Adam
from hwnas.space.moves import walk
from hwnas.space.replay import relax


class Darts(Strategy):
    """Gradient descent on the softmax weights of every option, then the strongest ones.

    Each step asks for the mixture softmax(alpha): one weight step on training data, then the
    gradient of the validation loss, of first or second ``order`` (through an unrolled step;
    Algorithm 1). Adam as in the paper. Further objectives with a gradient (flops, params) are
    added, each as a share of its first value, by ``preference``. Ends with one network.
    """

    paper = "Liu et al. 2019, DARTS, arXiv:1806.09055"
    needs = frozenset({"mixture", "gradient"})

    def __init__(
        self,
        context: Context,
        *,
        steps: int = 500,
        order: Literal[1, 2] = 1,
        lr: float = 3e-4,
        weight_decay: float = 1e-3,
        preference: list[float] | None = None,
    ) -> None:
        super().__init__(context)
        at_least(1, steps=steps)
        _, self._choices = relax(context.space)
        self._steps = steps
        self._order = order
        self._weight_decay = weight_decay
        self._preference = self._weigh(preference)
        self._scale: dict[str, float] = {}
        self._step = 0
        self._derived = False
        self._alpha = {
            name: 1e-3 * context.rng.standard_normal(len(choice.options))
            for name, choice in self._choices.items()
        }
        self._adam = {name: Adam(lr, a.shape) for name, a in self._alpha.items()}

    def _weigh(self, preference: list[float] | None) -> dict[str, float]:
        objectives = self.context.objectives
        weights = preference or [1.0] * len(objectives)
        if len(weights) != len(objectives) or min(weights) < 0:
            raise HwnasError(
                f"search.preference: one weight of at least 0 for each of the {len(objectives)}"
                f" objectives, got {weights}."
            )
        return {o.name: o.sign * w for o, w in zip(objectives, weights, strict=True)}

    @property
    def required(self) -> frozenset[str]:
        """Gradients of the order asked for."""
        return self.needs.union({"second_order"} if self._order == 2 else ())

    @property
    def progress(self) -> tuple[int, int]:
        """Steps, and the final network."""
        return self._step + (self._derived and not self.pending), self._steps + 1

    @property
    def _exhausted(self) -> bool:
        return self._derived

    def _ask(self, n: int) -> list[Proposal]:
        if self.pending:
            return []
        if self._step < self._steps:
            mixture = Mixture({name: softmax(a) for name, a in self._alpha.items()})
            return [self.context.propose(mixture, train=1, score=0, gradient=self._order)]
        self._derived = True
        return [self.context.propose(walk(self.context.space, self._strongest), train=0)]

    def _strongest(self, choice: Choice) -> Value:
        """The option, or the ``k`` options, of largest alpha."""
        ranked = np.argsort(-self._alpha[choice.name], kind="stable")
        if choice.k is None:
            return choice.options[int(ranked[0])]
        return tuple(choice.options[i] for i in sorted(ranked[: choice.k]))

    def _tell(self, outcome: Outcome) -> None:
        if outcome.proposal.point.discrete:
            return
        self._step += 1
        gradients = self._combine(outcome)
        for name, alpha in self._alpha.items():
            weights = softmax(alpha)
            given = gradients[name]
            chained = weights * (given - weights @ given)  # the Jacobian of softmax
            self._alpha[name] = self._adam[name].step(alpha, chained + self._weight_decay * alpha)

    def _combine(self, outcome: Outcome) -> dict[str, np.ndarray]:
        """d objective / d mixture, the objectives weighed by preference."""
        known = [name for name in self._preference if name in outcome.gradients]
        if not known:
            raise HwnasError(
                f"darts: none of the objectives {', '.join(self._preference)} has a gradient.",
                "Take the task's error among the objectives.",
            )
        total = {name: np.zeros_like(alpha) for name, alpha in self._alpha.items()}
        for objective in known:
            first = self._scale.setdefault(objective, abs(outcome.metrics[objective]) or 1.0)
            factor = self._preference[objective] / (first if len(known) > 1 else 1.0)
            for name, gradient in outcome.gradients[objective].items():
                total[name] = total[name] + factor * gradient
        return total

    def _lost(self, outcome: Outcome) -> None:
        self._step += not outcome.proposal.point.discrete

    def _state(self) -> dict[str, Any]:
        return {
            "alpha": self._alpha,
            "adam": {name: adam.state_dict() for name, adam in self._adam.items()},
            "scale": self._scale,
            "step": self._step,
            "derived": self._derived,
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._alpha = dict(state["alpha"])
        for name, adam in self._adam.items():
            adam.load_state_dict(state["adam"][name])
        self._scale = dict(state["scale"])
        self._step = state["step"]
        self._derived = state["derived"]


def softmax(alpha: np.ndarray) -> np.ndarray:
    """Positive weights that sum to one, shape ``[n_options]``."""
    e = np.exp(alpha - alpha.max())
    return np.asarray(e / e.sum())
