"""Another process, to see whether it comes to the same results."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def elsewhere(function: Callable[P, R], *args: P.args, **options: P.kwargs) -> R:
    """What ``function`` returns in a new interpreter, which shares nothing with this one.

    Function and arguments are pickled, so they must be found by an import. Raises what it raises.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as pool:
        return pool.submit(function, *args, **options).result()
