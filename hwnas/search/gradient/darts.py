"""DARTS: differentiable architecture search."""

from typing import Any, Literal

from hwnas.core.context import Context
from hwnas.core.proposal import Proposal
from hwnas.graph.ops.zero import Zero
from hwnas.search.gradient._descent import Descent
from hwnas.search.gradient._gradient import Gradient
from hwnas.space.replay import options_of


class Darts(Gradient):
    """Gradient descent on the softmax weights of every option, then the strongest ones.

    Each step asks for the mixture softmax(alpha): one weight step on training data, then the
    gradient of the validation loss, of first or second ``order`` (through an unrolled step;
    Algorithm 1). Adam as in the paper. For ``preferences`` see
    :class:`~hwnas.search.gradient._gradient.Gradient`, for ``watch`` and ``stop``
    :class:`~hwnas.search.gradient._watch.Watch`.

    The zero operation is never the one taken in the end: its weight only scales what comes together
    in a node (section 2.4). With ``zeros`` it may be, as in the experiments of NAS-Bench-201.
    """

    paper = "Liu et al. 2019, DARTS, arXiv:1806.09055"

    def __init__(
        self,
        context: Context,
        *,
        order: Literal[1, 2] = 1,
        lr: float = 3e-4,
        weight_decay: float = 1e-3,
        zeros: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(context, weight_decay, lr=lr, **options)
        self._order = order
        if not zeros:
            self._barred = options_of(self._graph, Zero)

    @property
    def required(self) -> frozenset[str]:
        """Gradients of the order asked for."""
        return self.needs.union({"second_order"} if self._order == 2 else ())

    def _propose(self, descent: Descent) -> Proposal:
        point = self._mixture(descent.parameters)
        return self.context.propose(point, train=1, score=0, gradient=self._order)
