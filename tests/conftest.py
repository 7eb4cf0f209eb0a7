"""What all tests share: one thread each, and property tests that repeat."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, for child processes too

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("hwnas", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("hwnas")


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """One more process, started once: what runs there shares nothing with the tests."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool
