"""The one error hwnas raises for mistakes that a person can mend."""


class HwnasError(Exception):
    """A message to a person: what was got and what is allowed, and what to do about it.

    The command line prints ``message`` and ``hint`` without a traceback and exits with status 2.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[type["HwnasError"], tuple[str, str]]:
        return (type(self), (self.message, self.hint))


FAILURES = (RuntimeError, ValueError, ArithmeticError, MemoryError, HwnasError)
"""What a candidate may die of: recorded as its outcome, while the search goes on."""
