"""What proposals cost where networks are compared by the training they take."""

from hwnas.core.architecture import Architecture
from hwnas.core.outcome import Outcome
from hwnas.core.proposal import Proposal

_REPEAT = 0.01  # more than nothing, so that a strategy that only repeats itself comes to an end


class Price:
    """Full trainings: the share of ``units`` that a network is trained beyond what it was before.

    So a budget counts distinct networks; one trained for a tenth, on the way to a promotion, is a
    tenth of an evaluation, and one that is known already costs next to nothing.
    """

    def __init__(self, units: int) -> None:
        self._units = units
        self._reached: dict[Architecture, int] = {}
        self._trained: dict[int, tuple[Architecture, int]] = {}

    def __call__(self, proposal: Proposal) -> float:
        """The price of a trial, which is then known."""
        point = proposal.point
        if not isinstance(point, Architecture):
            return 1.0
        total = proposal.train
        parent = self._trained.get(proposal.parent) if proposal.parent is not None else None
        if parent is not None and parent[0] == point:
            total += parent[1]
        new = min(proposal.train, total - self._reached.get(point, 0))
        self._trained[proposal.id] = point, total
        self._reached[point] = max(total, self._reached.get(point, 0))
        if proposal.train == 0:  # scored with weights that are there: an evaluation of its own
            return 1.0 if parent is None else _REPEAT
        return max(new / self._units, _REPEAT)


def prices(trials: list[Outcome], units: int) -> list[float]:
    """What each of the trials cost, in the order they were asked for."""
    price = Price(units)
    return [price(trial.proposal) for trial in trials]
