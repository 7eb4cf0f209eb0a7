"""The networks of NAS-Bench-201 cost what the benchmark says."""

import numpy as np
import pytest

from hwnas.core.tensor_type import TensorType
from hwnas.profile.cost import network_cost
from hwnas.space.nas_bench_201 import NasBench201, from_string
from hwnas.space.replay import build
from tests.data import data


def check(step: int) -> int:
    """Every ``step``-th network: parameters exactly, multiply-adds within 0.1 %."""
    table = np.load(data("nas_bench_201.npz"), allow_pickle=False)
    space = NasBench201(TensorType((3, 32, 32)), 10)
    strings = table["arch_str"][::step]
    costs = [network_cost(build(space, from_string(s.decode()))) for s in strings]
    params = [c.params for c in costs]
    mflops = [
        sum(n for name, n in c.by_operator if name in ("conv", "linear")) / 1e6 for c in costs
    ]
    np.testing.assert_array_equal(params, table["c10_params"][::step])
    np.testing.assert_allclose(mflops, table["c10_mflops"][::step], rtol=1e-3)
    return len(costs)


def test_some_networks() -> None:
    assert check(step=37) == 423


@pytest.mark.slow
def test_all_networks() -> None:
    assert check(step=1) == 15625
