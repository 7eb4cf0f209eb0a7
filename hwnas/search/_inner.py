"""The strategy inside another one."""

from collections.abc import Collection
from typing import Any

from hwnas.core.context import Context
from hwnas.core.errors import HwnasError
from hwnas.core.registry import create
from hwnas.core.strategy import Strategy


def inner_strategy(
    context: Context,
    config: dict[str, Any] | None,
    why: str,
    refused: Collection[str] | None = None,
) -> Strategy:
    """That of a pipeline file's ``strategy``, by default random.

    Raises :class:`HwnasError` that says ``why`` if it needs anything that is ``refused``; None
    refuses whatever is needed beside training and scoring networks.
    """
    given = config or {"name": "random"}
    strategy: Strategy = create("strategies", given, "search.strategy", context.inner())
    needs = strategy.required if refused is None else strategy.required.intersection(refused)
    if needs:
        raise HwnasError(
            f"search.strategy: {why}, but this strategy needs {', '.join(sorted(needs))}.",
            "Take one that proposes new networks, such as random or nsga2.",
        )
    return strategy
