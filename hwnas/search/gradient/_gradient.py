"""What the gradient methods share: parameters for every option, moved by measured gradients."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice
from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.mixture import Mixture
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.graph.ops.identity import Identity
from hwnas.search._options import above, at_least
from hwnas.search.gradient._descent import Descent, Parameters
from hwnas.search.gradient._health import collapsed, diagnostics
from hwnas.search.gradient._softmax import chained, softmax
from hwnas.search.gradient._strongest import Strongest
from hwnas.search.gradient._watch import Watch
from hwnas.search.gradient._wishes import wishes
from hwnas.space.moves import walk
from hwnas.space.replay import options_of, relax

_EARLY = 0.1  # of the steps, in which it may be chance what leads


class Gradient(Strategy):
    """Descends on parameters of all options for ``steps``, and ends with the strongest ones.

    Several objectives: the ones that have a gradient are added, each as a share of its first value,
    by a preference vector. ``preferences`` of them, spread over the simplex, have parameters of
    their own and take steps in turn, on the same shared weights, so that one search ends with as
    many networks. ``preference`` is one vector instead.

    ``watch``, ``stop`` and ``patience`` are those of :class:`Watch`.

    Authors write :meth:`_propose`, and the others below it where they differ from a softmax.
    """

    needs = frozenset({"mixture", "gradient"})
    turns = 1  # proposals a step, one after another

    def __init__(
        self,
        context: Context,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.5, 0.999),
        *,
        lr: float,
        steps: int = 500,
        preferences: int = 1,
        preference: list[float] | None = None,
        watch: int = 0,
        stop: float = 0.0,
        patience: int = 5,
    ) -> None:
        super().__init__(context)
        at_least(1, steps=steps, preferences=preferences)
        at_least(0, weight_decay=weight_decay)
        above(0, lr=lr)
        self._graph, self._choices = relax(context.space)
        self._skips = options_of(self._graph, Identity)
        self._barred: Mapping[str, Collection[int]] = {}  # from the network taken in the end
        self._steps = steps
        self._weight_decay = weight_decay
        self._descents = [
            Descent(
                {name: self._begin(choice) for name, choice in self._choices.items()},
                {o.name: o.sign * w for o, w in zip(context.objectives, wish, strict=True)},
                lr,
                betas,
                context.rng,
            )
            for wish in wishes(len(context.objectives), preferences, preference)
        ]
        self._watch = Watch(self._descents, watch, stop, patience)
        self._scale: dict[str, float] = {}
        self._step = 0
        self._turn = 0
        self._derived = 0

    @abstractmethod
    def _propose(self, descent: Descent) -> Proposal:
        """What step ``self._step`` asks for in its turn ``self._turn``."""

    def _begin(self, choice: Choice) -> np.ndarray:
        """The first parameters, shape ``[n_options]`` unless :meth:`_weights` takes others."""
        return 1e-3 * self.context.rng.standard_normal(len(choice.options))

    def _weights(self, parameters: np.ndarray, choice: Choice) -> np.ndarray:
        """The share of each option, shape ``[n_options]``."""
        return softmax(parameters)

    def _chained(self, parameters: np.ndarray, choice: Choice, given: np.ndarray) -> np.ndarray:
        """d value / d parameters from d value / d :meth:`_weights`."""
        return chained(self._weights(parameters, choice), given)

    def _strengths(self, parameters: np.ndarray, choice: Choice) -> np.ndarray:
        """By which the options taken in the end are ranked, shape ``[n_options]``."""
        return parameters

    def _mixture(self, parameters: Parameters) -> Mixture:
        """The relaxed network that parameters stand for."""
        return Mixture(self._shares(parameters))

    def _shares(self, parameters: Parameters) -> Parameters:
        """The :meth:`_weights` of every choice."""
        return {name: self._weights(a, self._choices[name]) for name, a in parameters.items()}

    def _strongest(self, descent: Descent) -> Strongest:
        """What would be taken, were this the end."""
        ranks = {
            name: self._strengths(a, self._choices[name]) for name, a in descent.parameters.items()
        }
        return Strongest(ranks, self._barred)

    def _slope(
        self, parameters: np.ndarray, choice: Choice, point: Mixture, given: np.ndarray
    ) -> np.ndarray:
        """d loss / d parameters from d loss / d weights at the ``point`` that was drawn."""
        return self._chained(parameters, choice, given)

    def _moved(
        self, before: np.ndarray, after: np.ndarray, choice: Choice, point: Mixture
    ) -> np.ndarray:
        """Where a step ends that leads from ``before`` to ``after``."""
        return after

    @property
    def _descent(self) -> Descent:
        """The one whose turn it is."""
        active = [d for d in self._descents if not d.resting]
        return active[self._step % len(active)]

    def _ask(self, n: int) -> list[Proposal]:
        if self.pending:
            return []
        if self._watch.descent:
            return [self._aside(self._watch.descent)]
        if self._step < self._steps:
            return [self._propose(self._descent)]
        left = self._networks()[self._derived :][:n]
        self._derived += len(left)
        return [self.context.propose(architecture, train=0) for architecture in left]

    def _aside(self, descent: Descent) -> Proposal:
        point = self._mixture(descent.aside())
        return self.context.propose(point, train=0, score=0, gradient=1)

    def _networks(self) -> list[Architecture]:
        """That of each preference, at the end; some may be the same."""
        every = [walk(self.context.space, self._strongest(d)) for d in self._descents]
        return list(dict.fromkeys(every))

    def _tell(self, outcome: Outcome) -> None:
        if outcome.proposal.is_trial:
            return
        if self._watch.descent:
            self._measure(self._watch.descent, outcome)
        else:
            self._learn(self._descent, outcome)
            self._advance(1)

    def _measure(self, descent: Descent, outcome: Outcome) -> None:
        (given,) = list(outcome.gradients.values())[:1]  # of the task's loss
        self._watch.learn(
            {n: self._chained(a, self._choices[n], given[n]) for n, a in descent.aside().items()}
        )
        if self._watch.over:
            self._step = self._steps

    def _learn(self, descent: Descent, outcome: Outcome) -> None:
        """Hear of the proposal of a turn."""
        point = outcome.proposal.point
        if not outcome.proposal.gradient or not isinstance(point, Mixture):
            return
        total = {name: self._weight_decay * a for name, a in descent.parameters.items()}
        known = [name for name in descent.wish if name in outcome.gradients]
        if not known:
            raise HwnasError(
                f"none of the objectives {', '.join(descent.wish)} has a gradient.",
                "Take the task's error among the objectives.",
            )
        main = next(iter(outcome.gradients))  # measured; that of the others is an expectation
        for objective in known:
            factor = descent.wish[objective]
            if len(known) > 1:
                factor /= self._first(objective, outcome)
            for name, given in outcome.gradients[objective].items():
                a, choice = descent.parameters[name], self._choices[name]
                if objective == main:
                    slope = self._slope(a, choice, point, given)
                else:
                    slope = self._chained(a, choice, given)
                total[name] = total[name] + factor * slope
        before = descent.parameters
        descent.parameters = {
            name: self._moved(before[name], after, self._choices[name], point)
            for name, after in descent.step(total).items()
        }

    def _first(self, objective: str, outcome: Outcome) -> float:
        """The first value of an objective, in shares of which it is added."""
        return self._scale.setdefault(objective, abs(outcome.metrics[objective]) or 1.0)

    def _advance(self, turns: int) -> None:
        self._turn = (self._turn + turns) % self.turns
        self._step += self._turn == 0
        if self._turn == 0:
            self._watch.reach(self._step)

    def _lost(self, outcome: Outcome) -> None:
        if outcome.proposal.is_trial:
            return
        if self._watch.descent:
            self._watch.skip()
        else:
            self._advance(self.turns - self._turn)

    @property
    def progress(self) -> tuple[int, int]:
        """Steps, and the final networks."""
        final = len(self._descents)
        done = self._exhausted and not self.pending
        return self._step + (final if done else 0), self._steps + final

    @property
    def _exhausted(self) -> bool:
        return self._step >= self._steps and 0 < len(self._networks()) <= self._derived

    @property
    def diagnostics(self) -> dict[str, float]:
        """Entropy in shares of the largest, skip-connections that lead, the last eigenvalue."""
        return diagnostics(self._descents, self._shares, self._strongest, self._skips)

    @property
    def warnings(self) -> list[str]:
        """Signs of a collapse, and what to do."""
        found = self._watch.warnings
        if self._step > _EARLY * self._steps:
            found = [*collapsed(self.diagnostics, self._steps), *found]
        return found

    def _state(self) -> dict[str, Any]:
        return {
            "descents": [d.state_dict() for d in self._descents],
            "scale": self._scale,
            "step": self._step,
            "turn": self._turn,
            "measuring": self._watch.state(),
            "derived": self._derived,
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        for descent, known in zip(self._descents, state["descents"], strict=True):
            descent.load_state_dict(known)
        self._scale = dict(state["scale"])
        self._step, self._turn = state["step"], state["turn"]
        self._watch.load(state["measuring"])
        self._derived = state["derived"]
