"""Progressive neural architecture search."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Literal

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.context import Context
from hwnas.core.pareto import order
from hwnas.core.proposal import Proposal
from hwnas.search._guess import Predict
from hwnas.search._modelled import Modelled
from hwnas.search._options import at_least
from hwnas.search._told import table
from hwnas.search.growth._blocks import Partial, grown, sentence


class PNAS(Modelled):
    """Networks that grow block by block, the beam chosen by a surrogate.

    Algorithm 1. The networks of one block are trained, or ``beam`` of them at random where there
    are more, and the surrogate is fitted. Then each network of the beam is given one block more in
    every way (of more than ``candidates`` in all a sample), the surrogate predicts them, the
    ``beam`` best are trained and are the next beam, the surrogate is fitted again, and so on.

    A space is a sequence of choices here. A block is a run of them whose names begin alike: a node
    of a cell, a layer, a stage. A network of b blocks has made the choices of its first b blocks;
    the others are the simplest (identity, the least number, the first option), so that it is a
    network of the space. What has more than ``blocks`` blocks grows by several at a time.

    The surrogate is an ensemble of five over the tokens of the network (section 4.2 and 5.2), on
    means of embeddings (``mlp``) or recurrent (``lstm``). Other than in the paper it is fitted
    anew each time, to the logarithm of positive objectives, an option has an embedding of its own
    in each block beside the shared one, and the tokens of the blocks not decided count too.

    With several objectives the best are those of the first predicted fronts, the less crowded
    first (DPP-Net, Dong et al. 2018, arXiv:1806.08198, takes the front); cheap ones
    are known, and what passes a limit comes last. The paper ends with whole networks. What is
    left of the budget goes to further passes, in which the beam is not trained but chosen by
    prediction, up to the ``beam`` best whole networks, which are; where that leads to nothing new
    it is twice as wide, and so on.
    """

    paper = "Liu et al. 2018, Progressive neural architecture search, arXiv:1712.00559"

    def __init__(
        self,
        context: Context,
        *,
        blocks: int = 5,
        beam: int = 16,
        candidates: int = 2000,
        surrogate: Literal["mlp", "lstm"] = "mlp",
    ) -> None:
        super().__init__(context, 1, candidates)
        at_least(1, blocks=blocks, beam=beam)
        self._blocks = blocks
        self._width = beam
        self._recurrent = surrogate == "lstm"
        self._grown = 0  # steps
        self._beam = [Partial.root(context.space)]
        self._queue: list[Architecture] = []

    def _next(self, asked: Sequence[Proposal]) -> Proposal | None:
        """The next of those to be trained; when all have come back, of new ones."""
        if not self._queue:
            if self.pending or asked:
                return None
            self._queue = self._generation() or self._further()
        return self._proposed(self._queue.pop(0) if self._queue else self._random())

    def _generation(self) -> list[Architecture]:
        """Those of the next beam that were not trained yet, none after the last block."""
        told = {t.architecture for t in self._told}
        while self._beam and self._grown < self._blocks:
            survivors = [p for p in self._beam if p.architecture in told or not self._grown]
            pool = self._expand(survivors, self._grown)
            pool = [p for p in pool if p.architecture in told or p.architecture not in self._seen]
            self._beam = self._top(pool, self._width)
            self._grown += 1
            new = [p.architecture for p in self._beam if p.architecture not in told]
            if new:
                return new
        return []

    def _further(self) -> list[Architecture]:
        """The best predicted whole networks that were not asked for."""
        width = self._width
        while len(self._told) > 1 and width < 2 * self._candidates:
            beam, whole = [Partial.root(self.context.space)], dict[Partial, None]()
            for step in range(self._blocks):
                pool = self._expand(beam, step)
                beam = self._top([p for p in pool if not p.whole], width)
                new = (p for p in pool if p.whole and p.architecture not in self._seen)
                whole.update(dict.fromkeys(new))
            if whole:
                return [p.architecture for p in self._top(list(whole), self._width)]
            width *= 2
        return []

    def _expand(self, parents: Sequence[Partial], step: int) -> list[Partial]:
        """Every network that is one step larger, or a sample of them."""
        space, rng = self.context.space, self.context.rng
        pool: dict[Partial, None] = {}
        for parent in parents:
            if not parent.whole:
                most = max(1, self._candidates // len(parents))
                pool.update(dict.fromkeys(grown(space, parent, self._blocks - step, most, rng)))
        return list(pool)

    def _top(self, pool: Sequence[Partial], count: int) -> list[Partial]:
        """The best predicted ones; drawn at random before anything is known."""
        if len(pool) <= count:
            return list(pool)
        if len(self._told) < 2:
            best = self.context.rng.permutation(len(pool))
        else:
            best = order(*self._expected([p.architecture for p in pool]))
        return [pool[i] for i in best[:count]]

    def _expected(self, networks: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
        """Predicted values ``[n, n_objectives]`` and violations ``[n]``."""
        told, _ = table(self._told)
        objectives = self.context.objectives
        values, violation = np.empty((len(networks), len(objectives))), np.empty(len(networks))
        if self._expensive.any() and networks:
            values[:, self._expensive], _ = self._predict(networks)
            logarithmic = self._logarithmic(told)
            values[:, logarithmic] = np.exp(values[:, logarithmic])
        for i, network in enumerate(networks):
            costs = self._costs(network)
            if costs is None:
                values[i], violation[i] = told.max(axis=0), inf
                continue
            values[i, ~self._expensive] = self._costs.cheap.values(costs)
            metrics = {o.name: o.sign * v for o, v in zip(objectives, values[i], strict=True)}
            violation[i] = objectives.violation(metrics)
        return values, violation

    def _fit(
        self, architectures: Sequence[Architecture], values: np.ndarray, rng: np.random.Generator
    ) -> Predict:
        from hwnas.search._models.sequence_ensemble import fit

        def sentences(networks: Sequence[Architecture]) -> list[Any]:
            return [sentence(self.context.space, network) for network in networks]

        seed = int(rng.integers(2**32))
        predict = fit(sentences(architectures), values, seed, self._recurrent)
        return lambda networks: predict(sentences(networks))

    def _state(self) -> dict[str, Any]:
        return {
            **super()._state(),
            "grown": self._grown,
            "beam": [[p.architecture.to_json(), p.decided] for p in self._beam],
            "queue": [a.to_json() for a in self._queue],
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        self._grown = state["grown"]
        self._beam = [Partial(Architecture.from_json(a), decided) for a, decided in state["beam"]]
        self._queue = [Architecture.from_json(a) for a in state["queue"]]
