"""What all tests share: one thread each, and property tests that repeat."""

import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, for child processes too

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch
from hypothesis import settings

from hwnas.testing.elsewhere import other

torch.set_num_threads(1)
settings.register_profile("hwnas", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("hwnas")


@pytest.fixture(scope="session", autouse=True)
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """One more process, for all of the session: what runs there shares nothing with the tests."""
    with other() as pool:
        yield pool


def pytest_collection_finish() -> None:
    """Keep the garbage collector from going through torch and all tests again and again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """At the end of the process it may have them: nanobind complains of what is left."""
    gc.unfreeze()
