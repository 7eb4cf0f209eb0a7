"""The generational genetic algorithm."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice, Value
from hwnas.core.context import Context
from hwnas.core.outcome import Outcome
from hwnas.core.pareto import order
from hwnas.core.proposal import Proposal
from hwnas.core.strategy import Strategy
from hwnas.search._options import at_least, within
from hwnas.search._told import Told, table
from hwnas.space.moves import sample, walk

_STILL = 100  # generations in a row that may bring nothing new


class Genetic(Strategy):
    """Roulette selection, crossover or mutation, and each generation replaces the one before.

    The oldest method of the field (Miller, Todd & Hegde 1989, Designing neural networks using
    genetic algorithms) as in Genetic CNN, Algorithm 1: of ``population`` networks the next as many
    are drawn with probabilities proportional to fitness less that of the worst; of each pair
    ``crossover`` (p_C) exchanges each stage with probability ``exchange`` (q_C), and of those that
    were not crossed ``mutation`` (p_M) changes each choice with probability ``flip`` (q_M). A stage
    is the first part of a choice's name. Nobody is kept for being the best. The defaults are those
    of the paper on CIFAR-10 (section 4.2), where 50 generations were bred. With several objectives,
    and where limits are passed, fitness is the place in the order of fronts and crowding (Deb et
    al. 2002), so that the roulette is that of linear ranking.

    Other than in the paper, which trains a network again whenever it comes up and takes the mean,
    its fitness is remembered. Failed ones drop out of their generation.
    """

    paper = "Xie & Yuille 2017, Genetic CNN, arXiv:1703.01513"

    def __init__(
        self,
        context: Context,
        *,
        population: int = 20,
        crossover: float = 0.2,
        exchange: float = 0.2,
        mutation: float = 0.8,
        flip: float = 0.05,
    ) -> None:
        super().__init__(context)
        at_least(2, population=population)
        within(0, 1, crossover=crossover, exchange=exchange, mutation=mutation, flip=flip)
        self._size = population
        self._crossover = crossover
        self._exchange = exchange
        self._mutation = mutation
        self._flip = flip
        self._known: dict[Architecture, Told | None] = {}  # None: it failed
        self._generation: list[Architecture] = []
        self._queue: list[Architecture] = []
        self._over = False

    def _ask(self, n: int) -> list[Proposal]:
        if not self._queue and not self.pending:
            self._breed()
        taken, self._queue = self._queue[:n], self._queue[n:]
        return [self.context.propose(architecture) for architecture in taken]

    def _breed(self) -> None:
        """Go on to the next generation that has someone unknown, who is queued."""
        for _ in range(_STILL):
            self._generation = self._next()
            self._queue = [a for a in dict.fromkeys(self._generation) if a not in self._known]
            if self._queue:
                return
        # Everyone is the same and mutation brings nothing new: somebody from outside.
        drawn = [sample(self.context.space, self.context.rng) for _ in range(_STILL)]
        self._queue = [a for a in drawn if a not in self._known][:1]
        self._generation[: len(self._queue)] = self._queue
        self._over = not self._queue

    def _next(self) -> list[Architecture]:
        context = self.context
        living = [a for a in self._generation if self._known.get(a) is not None]
        if not living:
            return [sample(context.space, context.rng) for _ in range(self._size)]
        chosen = self._select(living)
        for i in range(0, self._size, 2):
            pair = chosen[i : i + 2]
            if len(pair) == 2 and context.rng.random() < self._crossover:
                chosen[i : i + 2] = self._cross(*pair)
            else:
                chosen[i : i + 2] = [
                    self._mutate(a) if context.rng.random() < self._mutation else a for a in pair
                ]
        return chosen

    def _select(self, living: list[Architecture]) -> list[Architecture]:
        """The survivors of the roulette, each drawn independently (section 3.2.2)."""
        rng = self.context.rng
        values, violation = table([told for a in living if (told := self._known[a])])
        if values.shape[1] == 1 and not violation.any():
            cost = values[:, 0]
        else:
            cost = np.empty(len(living))
            cost[order(values, violation)] = np.arange(len(living))
        fitness = cost.max() - cost
        total = fitness.sum()
        shares = fitness / total if total > 0 else None  # None: all are as good
        return [living[i] for i in rng.choice(len(living), size=self._size, p=shares)]

    def _cross(self, mother: Architecture, father: Architecture) -> list[Architecture]:
        """Both, after they have exchanged some stages (section 3.2.3)."""
        rng = self.context.rng
        stages = dict.fromkeys(_stage(name) for parent in (mother, father) for name in parent)
        swapped = {stage for stage in stages if rng.random() < self._exchange}

        def child(one: Architecture, other: Architecture) -> Architecture:
            def decide(choice: Choice) -> Value:
                swap = _stage(choice.name) in swapped
                for parent in (other, one) if swap else (one, other):
                    if choice.name in parent and parent[choice.name] in choice.values:
                        return parent[choice.name]
                return choice.values[int(rng.integers(len(choice.values)))]

            return walk(self.context.space, decide)

        return [child(mother, father), child(father, mother)]

    def _mutate(self, parent: Architecture) -> Architecture:
        """Each choice changed with a small probability (section 3.2.3)."""
        rng = self.context.rng

        def decide(choice: Choice) -> Value:
            values = choice.values
            kept = parent.get(choice.name)
            if choice.name not in parent or kept not in values:
                return values[int(rng.integers(len(values)))]
            if rng.random() >= self._flip:
                return kept
            others = [value for value in values if value != kept]
            return others[int(rng.integers(len(others)))]

        return walk(self.context.space, decide)

    def _tell(self, outcome: Outcome) -> None:
        told = Told.of(outcome, self.context.objectives)
        self._known[told.architecture] = told

    def _lost(self, outcome: Outcome) -> None:
        self._known[outcome.proposal.architecture] = None

    @property
    def _exhausted(self) -> bool:
        return self._over

    def _state(self) -> dict[str, Any]:
        return {
            "known": [told.state for told in self._known.values() if told],
            "failed": [a.to_json() for a, told in self._known.items() if told is None],
            "generation": [a.to_json() for a in self._generation],
            "queue": [a.to_json() for a in self._queue],
            "over": self._over,
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        known = [Told.load(told, self.context.objectives) for told in state["known"]]
        self._known = {told.architecture: told for told in known}
        self._known.update((Architecture.from_json(a), None) for a in state["failed"])
        self._generation = [Architecture.from_json(a) for a in state["generation"]]
        self._queue = [Architecture.from_json(a) for a in state["queue"]]
        self._over = state["over"]


def _stage(name: str) -> str:
    return name.replace("/", ".").split(".")[0]
