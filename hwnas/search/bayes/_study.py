"""What was found out in a space, as an Optuna study that can be rebuilt from our own list."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice, Value
from hwnas.core.context import Context
from hwnas.core.objective import Objectives
from hwnas.core.outcome import Outcome
from hwnas.core.space import Space
from hwnas.search._seen import Seen
from hwnas.space.moves import choices, mutate, sample, walk

_TRIES = 3  # a suggestion costs as much as many moves
_DEAD = 200  # failed trials that Optuna may go through in vain


class Study:
    """Told networks with their values, and what Optuna's TPE would try next.

    Every choice is a categorical parameter whose values are the indices of the choice's. Optuna
    sees finished trials and, for the time of one suggestion, those in work: so its storage never
    holds anything that :meth:`state` does not.
    """

    def __init__(self, space: Space, objectives: int, startup: int, candidates: int) -> None:
        self._space = space
        self._objectives = objectives
        self._options = {"n_startup_trials": startup, "n_ei_candidates": candidates}
        self._told: list[tuple[Architecture, np.ndarray, float]] = []
        self._known: set[Architecture] = set()
        self._study = _create(objectives)

    def __len__(self) -> int:
        return len(self._told)

    @property
    def width(self) -> int:
        """The choices of the network that has most of them."""
        return max((len(architecture) for architecture, *_ in self._told), default=0)

    def observe(self, outcome: Outcome, objectives: Objectives) -> None:
        """Learn what a network is worth."""
        metrics = outcome.metrics
        values, violation = objectives.values(metrics), objectives.violation(metrics)
        self.add(outcome.proposal.architecture, values, violation)

    def add(self, architecture: Architecture, values: np.ndarray, violation: float) -> None:
        """Learn that a network has these values, shape ``[n_objectives]``."""
        from optuna.trial import create_trial

        self._told.append((architecture, values, violation))
        self._known.add(architecture)
        parameters = self._parameters(architecture)
        trial = create_trial(
            values=values.tolist(), constraints={"limits": violation}, **parameters
        )
        self._study.add_trial(trial)

    def suggest(
        self, rng: np.random.Generator, pending: Iterable[Architecture], seen: Seen
    ) -> Architecture:
        """A network that the model likes, far from those ``pending`` (constant liar).

        One that was ``seen`` becomes pending too, so that the next is likelier to be new; after a
        few such the first one is returned.
        """
        from optuna.trial import TrialState, create_trial

        study = self._study
        study.sampler = _sampler(int(rng.integers(2**32)), self._options)
        for architecture in pending:
            if architecture not in self._known:
                parameters = self._parameters(architecture)
                study.add_trial(create_trial(state=TrialState.RUNNING, **parameters))
        suggested = [self._next()]
        while suggested[-1] in seen and len(suggested) < _TRIES:
            suggested.append(self._next())
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in running:
            study.tell(trial.number, state=TrialState.FAIL)  # never to be looked at again
        if running[-1].number > 2 * len(self) + _DEAD:
            self.load(self.state())  # without those that failed, which Optuna goes through too
        return suggested[0] if suggested[-1] in seen else suggested[-1]

    def _next(self) -> Architecture:
        trial = self._study.ask()

        def decide(choice: Choice) -> Value:
            if len(choice.values) == 1:
                return choice.values[0]
            index: int = trial.suggest_categorical(_name(choice), _indices(choice))
            return choice.values[index]

        return walk(self._space, decide)

    def _parameters(self, architecture: Architecture) -> dict[str, Any]:
        from optuna.distributions import CategoricalDistribution

        met = [c for c in choices(self._space, architecture) if len(c.values) > 1]
        return {
            "params": {_name(c): c.values.index(architecture[c.name]) for c in met},
            "distributions": {_name(c): CategoricalDistribution(_indices(c)) for c in met},
        }

    def state(self) -> list[list[Any]]:
        """For a snapshot."""
        return [[a.to_json(), values, violation] for a, values, violation in self._told]

    def load(self, state: Sequence[Any]) -> None:
        """The inverse of :meth:`state`."""
        self._told, self._known, self._study = [], set(), _create(self._objectives)
        for architecture, values, violation in state:
            self.add(Architecture.from_json(architecture), values, violation)


def propose(
    context: Context, study: Study, pending: Iterable[Architecture], seen: Seen
) -> Architecture:
    """What ``study`` suggests; if that is known, a mutant of it or a random one that is not.

    Where all of these are known it is the suggestion after all.
    """
    found = study.suggest(context.rng, pending, seen)
    if found in seen:
        mutant = seen.fresh(lambda: mutate(context.space, found, context.rng))
        found = mutant or seen.fresh(lambda: sample(context.space, context.rng)) or found
    seen.add(found)
    return found


@lru_cache(maxsize=10_000)
def _name(choice: Choice) -> str:
    """That of Optuna's parameter: one name must keep its values, our choices need not."""
    text = repr((choice.options, choice.k))
    return f"{choice.name}:{sha256(text.encode()).hexdigest()[:8]}"


def _indices(choice: Choice) -> list[int]:
    return list(range(len(choice.values)))


def _sampler(seed: int, options: Mapping[str, Any]) -> Any:
    """A new one a suggestion, so that all randomness is ours; its fit is not kept anyway."""
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import TPESampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of group=True
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True, **options)


def _create(objectives: int) -> Any:
    import optuna

    with _quiet():
        return optuna.create_study(directions=["minimize"] * objectives)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from announcing a study; the user's own verbosity comes back."""
    from optuna import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
