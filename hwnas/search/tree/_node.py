"""What a search tree keeps at a choice."""

from __future__ import annotations

from collections import defaultdict

from hwnas.core.choice import Value


class Node:
    """What was asked for after the same answers; a leaf has no more choices and is exhausted."""

    __slots__ = ("children", "exhausted", "size", "visits")

    def __init__(self) -> None:
        self.children: dict[Value, Node] = {}
        self.size = 0  # values of its choice
        self.visits = 0
        self.exhausted = False

    def leads_on(self, value: Value) -> bool:
        """Whether anything below a value was not asked for yet."""
        return value not in self.children or not self.children[value].exhausted


class Statistics:
    """Per value of a choice the weights of the trials that took it, and their rewards."""

    def __init__(self) -> None:
        self.visits: defaultdict[Value, float] = defaultdict(float)
        self.totals: defaultdict[Value, float] = defaultdict(float)

    def add(self, value: Value, weight: float, reward: float) -> None:
        """One trial more."""
        self.visits[value] += weight
        self.totals[value] += weight * reward
