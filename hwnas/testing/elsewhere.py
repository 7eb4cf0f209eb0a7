"""Another process, to see whether it comes to the same results."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def elsewhere(function: Callable[P, R], *args: P.args, **options: P.kwargs) -> R:
    """What ``function`` returns in another interpreter, which shares nothing with this one.

    Function and arguments are pickled, so they must be found by an import. Raises what it raises.
    """
    try:
        return other().submit(function, *args, **options).result()
    except BrokenProcessPool:
        other.cache_clear()
        raise


@cache
def other() -> ProcessPoolExecutor:
    """One more process, kept to the end of this one: a new one imports torch for seconds."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
