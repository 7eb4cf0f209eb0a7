"""The values of a choice, counted, drawn and written down."""

from math import comb

import numpy as np

from hwnas.core.choice import Choice, Value

Code = int | list[int]
"""A value as the index, or the indices, of what is taken of the options."""


def count(choice: Choice) -> int:
    """How many values there are."""
    return len(choice.options) if choice.k is None else comb(len(choice.options), choice.k)


def fits(choice: Choice, value: Value) -> bool:
    """Whether it is one of the choice's."""
    if not isinstance(value, tuple):
        return choice.k is None and value in choice.options
    return len(value) == choice.k and value == tuple(o for o in choice.options if o in value)


def drawn(choice: Choice, rng: np.random.Generator) -> Value:
    """A value uniformly at random, without listing them all."""
    n = len(choice.options)
    if choice.k is None:
        return choice.options[int(rng.integers(n))]
    return decoded(choice, sorted(rng.choice(n, choice.k, replace=False).tolist()))


def encoded(choice: Choice, value: Value) -> Code:
    """A value as what JSON can hold."""
    if isinstance(value, tuple):
        return [choice.options.index(v) for v in value]
    return choice.options.index(value)


def decoded(choice: Choice, code: Code) -> Value:
    """The inverse of :func:`encoded`."""
    if isinstance(code, list):
        return tuple(choice.options[i] for i in code)
    return choice.options[code]
