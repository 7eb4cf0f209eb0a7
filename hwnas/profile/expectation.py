"""The expected value of an additive metric over a mixture, and its gradient."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hwnas.core.mixture import Mixture
from hwnas.core.outcome import Outcome
from hwnas.core.space import Space
from hwnas.core.tensor_type import TensorType
from hwnas.graph.graph import Graph
from hwnas.graph.op import Op
from hwnas.graph.ops.mix import Mix
from hwnas.space.replay import relax

Factors = frozenset[tuple[str, int]]
"""Options, as (choice name, index), that must all be taken for a node to be in the network."""


def requirements(graph: Graph) -> dict[str, Factors]:
    """For each node of a relaxed graph, the options without which nothing would read it.

    A reader passes on its own requirements, the option that it is of a mix, and the gates of the
    connection; with several readers those common to all remain.
    """
    found: dict[str, Factors] = {graph.output.id: frozenset()}
    for node in reversed(list(graph)):
        for i, given in enumerate(node.inputs):
            needed = found[node.id] | {(choice.name, option) for choice, option in given.gates}
            if isinstance(node.op, Mix):
                needed |= {(node.op.choice.name, i)}
            found[given.id] = found[given.id] & needed if given.id in found else needed
    return found


class Expectation:
    """Expected sum of ``cost(op, *input types)`` over the operations of a relaxed network.

    Choices are independent and a node counts with the product of the weights it depends on, so the
    result is a polynomial, linear in each weight, and its gradient is exact (the expected cost of
    FBNet, Wu et al. 2019, equation 6, and ProxylessNAS, Cai et al. 2019, section 3.3). A node
    that several options share without being needed by the rest counts in full: an upper bound.
    With ``once``, nodes that share weights and depend on the same options count as one.

    Raises :class:`HwnasError` if the space cannot be relaxed.
    """

    def __init__(
        self, space: Space, cost: Callable[[Op, *tuple[TensorType, ...]], float], once: bool = False
    ) -> None:
        graph, self._choices = relax(space)
        needs = requirements(graph)
        self._terms: defaultdict[Factors, float] = defaultdict(float)
        met: set[tuple[str, Factors]] = set()
        for node in graph:
            known = once and (node.weights, needs[node.id]) in met
            met.add((node.weights, needs[node.id]))
            if node.op is not None and not isinstance(node.op, Mix) and not known:
                self._terms[needs[node.id]] += cost(node.op, *[i.type for i in node.inputs])

    def __call__(self, mixture: Mixture) -> tuple[float, dict[str, np.ndarray]]:
        """The expectation and, by choice, its derivative by each weight, ``[n_options]``."""
        weights = {name: mixture.weights(choice) for name, choice in self._choices.items()}
        gradient = {name: np.zeros(len(w)) for name, w in weights.items()}
        total = 0.0
        for factors, coefficient in self._terms.items():
            values = {(name, i): float(weights[name][i]) for name, i in factors}
            total += coefficient * float(np.prod(list(values.values())))
            for name, i in factors:
                others = [value for factor, value in values.items() if factor != (name, i)]
                gradient[name][i] += coefficient * float(np.prod(others))
        return total, gradient

    def complete(self, outcome: Outcome, mixture: Mixture, name: str) -> Outcome:
        """With the expectation as a metric and, where its proposal wants one, the gradient."""
        value, gradient = self(mixture)
        metrics = {**outcome.metrics, name: value}
        if not outcome.proposal.gradient:
            return replace(outcome, metrics=metrics)
        return replace(outcome, metrics=metrics, gradients={**outcome.gradients, name: gradient})
