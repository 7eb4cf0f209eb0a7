"""Networks that a model may find worth asking for."""

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.space import Space
from hwnas.search._seen import Seen
from hwnas.space.moves import mutate, neighbours, sample

Score = Callable[[Sequence[Architecture]], np.ndarray]
"""What networks are worth asking for, shape ``[n]``; more is better."""

_PARENTS = 20  # networks whose mutants are candidates, from the front down
_ROUNDS = 2  # of mutating the best candidates
_BEST = 10  # of them, each round


def around(
    space: Space, architecture: Architecture, most: int, rng: np.random.Generator
) -> list[Architecture]:
    """Those that differ in one choice, at most so many of them, in random order."""
    found = list(neighbours(space, architecture))
    return [found[i] for i in rng.permutation(len(found))[:most]]


def judge(
    worth: dict[Architecture, float], score: Score, architectures: Iterable[Architecture]
) -> None:
    """Adds the scores of those that have none yet to ``worth``."""
    new = [a for a in dict.fromkeys(architectures) if a not in worth]
    if new:
        worth.update(zip(new, score(new).tolist(), strict=True))


class Candidates:
    """Looks for the network of the best score among those that were not ``seen``."""

    def __init__(self, context: Context, seen: Seen) -> None:
        self._space, self._rng = context.space, context.rng
        self._seen = seen

    def mutated(
        self, told: Sequence[Architecture], score: Score, count: int
    ) -> Architecture | None:
        """The best of ``count``: random ones, mutants of those told, and then of the best.

        Those told come front by front, the best first.
        """
        parents = told[:_PARENTS]
        share = max(1, count // (2 + _ROUNDS))
        pool = self.fresh(self._sample, share, ())
        pool += self.fresh(lambda: self._mutant(parents), share, set(pool))
        if not pool:
            return None
        worth = score(pool)
        for _ in range(_ROUNDS):
            top = [pool[i] for i in np.argsort(-worth, kind="stable")[:_BEST]]
            further = self.fresh(lambda top=top: self._mutant(top), share, set(pool))  # type: ignore[misc]
            if further:
                pool, worth = [*pool, *further], np.append(worth, score(further))
        return pool[int(np.lexsort((self._rng.random(len(pool)), -worth))[0])]

    def climbed(
        self,
        front: Sequence[Architecture],
        score: Score,
        others: Sequence[Architecture],
        searches: int,
        exchanges: int,
        most: int,
    ) -> list[Architecture]:
        """The best ``most`` of ``others`` and of all that local searches of the score meet.

        Half of the searches begin on the front that was told, the rest where the score is best.
        They go to the best network that differs in one choice while there is a better one, or to
        the best of ``exchanges`` drawn where there are more. The best comes first.
        """
        worth: dict[Architecture, float] = {}
        judge(worth, score, [*front, *others])
        likely = sorted(worth, key=worth.__getitem__, reverse=True)
        half = -(-searches // 2)
        some = [front[i] for i in self._rng.permutation(len(front))[:half]]
        at = dict.fromkeys([*some, *likely][:searches])
        while at:
            near = {a: around(self._space, a, exchanges, self._rng) for a in at}
            judge(worth, score, (b for found in near.values() for b in found))
            best = {a: max(found, key=worth.__getitem__) for a, found in near.items() if found}
            at = dict.fromkeys(b for a, b in best.items() if worth[b] > worth[a])
        ranked = sorted(worth, key=worth.__getitem__, reverse=True)
        return list(islice((a for a in ranked if a not in self._seen), most))

    def least(
        self,
        value: Callable[[Architecture], float],
        count: int,
        searches: int,
        exchanges: int,
        rng: np.random.Generator,
    ) -> Architecture:
        """The least of the local minima that are met from the best of ``count`` networks."""

        def descended(at: Architecture) -> Architecture:
            while True:
                near = around(self._space, at, exchanges, rng)
                best = min(near, key=value, default=at)
                if not value(best) < value(at):
                    return at
                at = best

        begin = sorted((sample(self._space, rng) for _ in range(count)), key=value)
        return min(map(descended, dict.fromkeys(begin[:searches])), key=value)

    def fresh(
        self, make: Callable[[], Architecture], count: int, known: Collection[Architecture]
    ) -> list[Architecture]:
        """At most ``count`` that are neither asked for nor ``known``."""
        found: dict[Architecture, None] = {}
        for _ in range(3 * count):
            new = make()
            if new not in known and new not in self._seen:
                found[new] = None
                if len(found) == count:
                    break
        return list(found)

    def _sample(self) -> Architecture:
        return sample(self._space, self._rng)

    def _mutant(self, parents: Sequence[Architecture]) -> Architecture:
        """Of one of the parents, changed once, or with half the chance twice, and so on."""
        child = mutate(self._space, parents[int(self._rng.integers(len(parents)))], self._rng)
        while self._rng.random() < 0.5:
            child = mutate(self._space, child, self._rng)
        return child
