"""Network morphisms: a seed network and what is done to it, one change after another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from typing import TYPE_CHECKING, ClassVar

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice, Value
from hwnas.core.errors import HwnasError
from hwnas.core.space import Pick, Space
from hwnas.core.tensor_type import TensorType
from hwnas.graph.blocks import conv_norm_relu, separable_norm_relu
from hwnas.graph.classify import classify
from hwnas.graph.graph import INPUT, Graph, Node
from hwnas.graph.ops.concat import Concat
from hwnas.graph.ops.pool import Pool as MaxPool
from hwnas.graph.ops.shortcut import Shortcut
from hwnas.space.morphism import MORPHISMS
from hwnas.space.morphism.layer import Conv, Layer, Pool
from hwnas.space.morphism.morphism import Step
from hwnas.space.morphism.net import Net
from hwnas.space.morphism.weights import decode, encode
from hwnas.space.moves import walk
from hwnas.space.replay import Discrete

if TYPE_CHECKING:
    import numpy as np

STOP = "stop"
_ENDLESS = (
    {"deepen"},
    {"widen", "prune"},
    {"enlarge", "shrink"},
    {"add", "disconnect"},
    {"concat", "disconnect"},
)


class Morph(Space):
    """A list of network morphisms, each applied to what those before it made of a seed network.

    The seed: ``stages`` convolutions with batch norm and ReLU, max pooling between them, the
    ``channels`` of the first doubled in each later one. Choice ``"0.kind"`` is the first morphism
    or ``"stop"``, ``"0.where"`` the layer it changes, then what that kind needs: ``"0.factor"``,
    ``"0.kernel"``, ``"0.source"`` or ``"0.share"``. ``kinds`` are those offered (all), ``kernels``
    odd sizes (3 and 5), ``limit`` the most morphisms (no end); nothing is more than ``widest``
    times as wide as the widest layer of the seed. Weights pass from an architecture to one with a
    longer list by :meth:`transfer`.
    """

    paper = (
        "Elsken et al. 2019, LEMONADE, arXiv:1804.09081; Elsken et al. 2017, NASH, "
        "arXiv:1711.04528; Wei et al. 2016, arXiv:1603.01670; Chen et al. 2016, arXiv:1511.05641"
    )
    preserving: ClassVar[frozenset[str]] = frozenset(
        k for k, m in MORPHISMS.items() if m.preserving
    )
    """The kinds that leave the network's function as it is, in evaluation mode."""

    def __init__(
        self,
        input: TensorType,
        outputs: int,
        *,
        channels: int = 16,
        stages: int = 3,
        kernels: list[int] | None = None,
        kinds: list[str] | None = None,
        widest: int = 8,
        limit: int | None = None,
    ) -> None:
        super().__init__(input, outputs)
        if len(input.shape) != 3 or input.values:
            raise HwnasError(
                f"morph: needs images (channels, height, width), got {input}.",
                "Take a task of images.",
            )
        numbers = {"channels": channels, "stages": stages, "widest": widest, "limit": limit}
        for name, number in numbers.items():
            if number is not None and number < 1:
                raise HwnasError(f"morph: {name} must be at least 1, got {number}.")
        kernels = [3, 5] if kernels is None else kernels
        if not kernels or any(k < 1 or k % 2 == 0 for k in kernels):
            raise HwnasError(f"morph: kernels must be odd, got {kernels}.", "e.g. kernels: [3, 5]")
        kinds = list(MORPHISMS) if kinds is None else kinds
        if not kinds or not set(kinds) <= set(MORPHISMS):
            raise HwnasError(f"morph: kinds are {kinds}.", f"Allowed: {', '.join(MORPHISMS)}.")
        self.kinds = [kind for kind in MORPHISMS if kind in kinds]
        self.limit = limit
        layers: list[Layer] = []
        for stage in range(stages):
            if stage:
                layers.append(Pool(f"stage{stage}/pool"))
            kernel = 3 if 3 in kernels else min(kernels)
            layers.append(Conv(f"stage{stage}/conv", channels * 2**stage, kernel))
        most = widest * channels * 2 ** (stages - 1)
        self.seed = Net(input.shape[0], tuple(layers), tuple(sorted(set(kernels))), most)

    def graph(self, pick: Pick) -> Graph:
        """The network after the last morphism, a scope a resolution."""
        net = self._history(pick)[1][-1]
        g = Graph(self.input)
        nodes = {INPUT: g.input}
        x = g.input
        for layer in net.layers:
            nodes[layer.id] = x = _node(g, layer, x, nodes)
        return g.finish(classify(x, self.outputs))

    def _history(self, pick: Pick) -> tuple[list[Step], list[Net]]:
        """The morphisms, and the networks before, between and after them."""
        steps: list[Step] = []
        nets = [self.seed]
        while self.limit is None or len(steps) < self.limit:
            number, net = len(steps), nets[-1]
            kinds = (kind for kind in self.kinds if MORPHISMS[kind].applies(net))
            kind = pick(f"{number}.kind", [STOP, *kinds])
            if kind == STOP:
                break
            morphism = MORPHISMS[kind]
            where = pick(f"{number}.where", morphism.places(net))
            detail = pick(f"{number}.{morphism.detail}", morphism.choices(net, where))
            steps.append(Step(number, kind, where, detail))
            nets.append(morphism.apply(net, steps[-1]))
        return steps, nets

    def count(self) -> float | None:
        """Infinitely many where a list can go on for ever; otherwise no one counted."""
        endless = self.limit is None and any(kinds <= set(self.kinds) for kinds in _ENDLESS)
        return inf if endless else None

    def steps(self, architecture: Architecture) -> tuple[Step, ...]:
        """The morphisms of an architecture, in order."""
        return tuple(self._replayed(architecture)[0])

    def _replayed(self, architecture: Architecture) -> tuple[list[Step], list[Net]]:
        return self._history(Discrete(lambda choice: architecture[choice.name]))

    def grow(
        self, parent: Architecture, rng: np.random.Generator, kinds: Collection[str] | None = None
    ) -> Architecture:
        """``parent`` and one random morphism more, of ``kinds`` if they are given.

        Its kind is uniform among those that apply, then its place, then the rest. Raises
        :class:`HwnasError` if none applies or the list is as long as it may be.
        """
        number = len(self.steps(parent))
        grown = False

        def decide(choice: Choice) -> Value:
            nonlocal grown
            place, _, what = choice.name.partition(".")
            if int(place) > number:
                return STOP
            options = choice.options
            if int(place) < number:
                return parent[choice.name]
            if what == "kind":
                options = tuple(k for k in options if k != STOP and (kinds is None or k in kinds))
                grown = bool(options)
            return options[int(rng.integers(len(options)))] if options else STOP

        child = walk(self, decide)
        if not grown:
            raise HwnasError(
                f"morph: no morphism can follow the {number} of {parent}.",
                f"Kinds asked for: {', '.join(sorted(kinds or self.kinds))}; limit: {self.limit}.",
            )
        return child

    def morph(
        self, parent: Architecture, rng: np.random.Generator, exact: bool = False
    ) -> Architecture | None:
        """One morphism more, of a :attr:`preserving` kind if ``exact``; None if none applies."""
        try:
            return self.grow(parent, rng, self.preserving if exact else None)
        except HwnasError:
            return None

    def transfer(
        self, parent: Architecture, child: Architecture, weights: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """All weights of ``child``, whose list begins with that of ``parent``, from its weights.

        Each further morphism changes them in turn; those of :attr:`preserving` kind keep the
        function. If the lists go apart earlier, or ``weights`` are not those of ``parent`` as it
        is but of a scaled network, they are handed on as they are: ids stay, so layers that both
        networks have the same find theirs by name and shape.
        """
        before, nets = self._replayed(parent)
        steps, _ = self._replayed(child)
        parts = decode(nets[-1], weights) if steps[: len(before)] == before else None
        if parts is None:
            return dict(weights)
        net = nets[-1]
        for step in steps[len(before) :]:
            morphism = MORPHISMS[step.kind]
            parts = morphism.transfer(net, step, parts)
            net = morphism.apply(net, step)
        return encode(net, parts)


def _node(g: Graph, layer: Layer, x: Node, nodes: Mapping[str, Node]) -> Node:
    if isinstance(layer, Conv):
        block = separable_norm_relu if layer.separable else conv_norm_relu
        return g.add(layer.id, block(layer.out, layer.kernel), x)
    if isinstance(layer, Pool):
        # The last window may hang over: even one pixel can be pooled.
        return g.add(layer.id, MaxPool("max", 2, 2, ceil=True), x)
    op = Shortcut() if layer.how == "add" else Concat()
    return g.add(layer.id, op, x, nodes[layer.skip])
