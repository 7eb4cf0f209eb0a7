"""Fakes and contract suites, public so that plug-ins can run them.

``check(kind, cls)`` runs a whole suite and reports; ``check_strategy``, ``check_space`` and
``check_estimator`` raise AssertionError at the first thing wrong, for a plug-in's own tests.
"""

from hwnas.testing.check import Result, check, kind_of
from hwnas.testing.elsewhere import elsewhere
from hwnas.testing.estimator import check_estimator
from hwnas.testing.fakes import FakeEstimator, FakeTask
from hwnas.testing.small import small
from hwnas.testing.space import check_space
from hwnas.testing.strategy import check_strategy

__all__ = [
    "FakeEstimator",
    "FakeTask",
    "Result",
    "check",
    "check_estimator",
    "check_space",
    "check_strategy",
    "elsewhere",
    "kind_of",
    "small",
]
