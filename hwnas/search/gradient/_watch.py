"""How curved the loss is along descents, and when they have gone far enough."""

from collections.abc import Sequence

from hwnas.core.errors import HwnasError
from hwnas.search._options import at_least
from hwnas.search.gradient._descent import Descent, Parameters

_STOP = 0.75  # Zela et al. 2020, where it is not given


class Watch:
    """The largest eigenvalue of the Hessian of the validation loss in the parameters of descents.

    It is measured every ``watch`` steps (0: never), for one descent after another. Where its mean
    over ``patience`` measurements has grown to more than 1 / ``stop`` of that over as many before,
    the parameters return to those of then and rest (0: never). This is the early stopping of Zela
    et al. 2020, Understanding and robustifying differentiable architecture search,
    arXiv:1909.09656, section 4.3, where they are 0.75 and 5.
    """

    def __init__(self, descents: Sequence[Descent], watch: int, stop: float, patience: int) -> None:
        at_least(1, patience=patience)
        at_least(0, watch=watch, stop=stop)
        if stop and not watch:
            raise HwnasError("search.watch: must be at least 1 if stop is given, got 0.")
        self._descents = descents
        self._every, self._stop, self._patience = watch, stop, patience
        self._due: list[int] = []  # descents, by their place

    @property
    def descent(self) -> Descent | None:
        """The one that is due; a gradient is wanted at its :meth:`Descent.aside`."""
        return self._descents[self._due[0]] if self._due else None

    @property
    def over(self) -> bool:
        """Whether all descents rest."""
        return all(d.resting for d in self._descents)

    @property
    def warnings(self) -> list[str]:
        """One if the eigenvalue has grown."""
        growth = max(d.growth(self._patience) for d in self._descents)
        if growth <= 1 / (self._stop or _STOP):
            return []
        warning = (
            f"The largest eigenvalue of the loss in the architecture has grown {growth:.1f}"
            " times: networks found from here on generalise worse (Zela et al. 2020)."
            " Stop early: search: {stop: 0.75}."
        )
        return [warning]

    def reach(self, step: int) -> None:
        """After so many steps, those that do not rest may be due."""
        if self._every and step % self._every == 0:
            self._due = [i for i, d in enumerate(self._descents) if not d.resting]

    def learn(self, gradient: Parameters) -> None:
        """Hear of the gradient that was wanted; several make a measurement."""
        if self._descents[self._due[0]].measure(gradient, self._stop, self._patience):
            self._due.pop(0)

    def skip(self) -> None:
        """Do without this measurement."""
        self._due.pop(0)

    def state(self) -> list[int]:
        """Which descents are due, by their place."""
        return list(self._due)

    def load(self, state: Sequence[int]) -> None:
        """The inverse of :meth:`state`."""
        self._due = list(state)
