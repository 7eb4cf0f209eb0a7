"""Candidates that are looked for from search to search."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.search._candidates import Score, around, judge
from hwnas.search._seen import Seen


class BestFirst:
    """Opens the networks of the best score, and remembers what it found for the next search.

    A network that is opened shows those that differ in one choice, or ``exchanges`` of them drawn
    where there are more. Each search opens the best ``width`` that were not opened before, so ever
    more is known of the space around what is good, where climbs that begin anew end on the same few
    tops (Pearl 1984, Heuristics, best-first search). The best ``most`` are kept, because the next
    search has another score.
    """

    def __init__(self, context: Context, seen: Seen, width: int, exchanges: int, most: int) -> None:
        self._space, self._rng = context.space, context.rng
        self._seen = seen  # those asked for, which may be opened but are no candidates
        self._opened = Seen()
        self._kept: list[Architecture] = []
        self._width, self._exchanges, self._most = width, exchanges, most

    def __call__(self, score: Score, others: Sequence[Architecture]) -> Architecture | None:
        """The network of the best score that was not asked for, None if none is known."""
        worth: dict[Architecture, float] = {}
        judge(worth, score, [*others, *self._kept])
        opening = [a for a in self._ranked(worth) if a not in self._opened][: self._width]
        for architecture in opening:
            self._opened.add(architecture)
        judge(worth, score, (b for a in opening for b in self._near(a)))
        ranked = self._ranked(worth)
        useful = (a for a in ranked if a not in self._seen or a not in self._opened)
        self._kept = list(islice(useful, self._most))
        return next((a for a in ranked if a not in self._seen), None)

    @staticmethod
    def _ranked(worth: Mapping[Architecture, float]) -> list[Architecture]:
        return sorted(worth, key=worth.__getitem__, reverse=True)

    def _near(self, architecture: Architecture) -> list[Architecture]:
        return around(self._space, architecture, self._exchanges, self._rng)

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"kept": [a.to_json() for a in self._kept], "opened": self._opened.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self._kept = [Architecture.from_json(picks) for picks in state["kept"]]
        self._opened.load(state["opened"])
