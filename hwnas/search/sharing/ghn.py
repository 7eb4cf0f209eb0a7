"""Search by a graph hypernetwork."""

from typing import Any

from hwnas.core.context import Context
from hwnas.search.sharing._warmed import Warmed, searcher


class GHN(Warmed):
    """Random networks train a hypernetwork, which gives the weights to score others with.

    Section 3: every one of ``steps`` steps trains the hypernetwork on one random network; then
    ``evaluations`` random networks are scored with the weights that it generates. The best of them,
    the front where there are several objectives, are then trained in full, which is what the stage
    "estimate" does. Another ``strategy`` than random may choose which networks are scored.
    """

    paper = "Zhang, Ren & Urtasun 2019, Graph hypernetworks for NAS, arXiv:1810.05749"

    def __init__(
        self, context: Context, *, steps: int = 500, strategy: dict[str, Any] | None = None
    ) -> None:
        super().__init__(context, steps, searcher(context, strategy))
