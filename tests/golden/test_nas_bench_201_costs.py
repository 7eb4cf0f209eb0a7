"""Every network of NAS-Bench-201 costs what the benchmark says."""

import numpy as np

from hwnas.core.tensor_type import TensorType
from hwnas.profile.cost import network_cost
from hwnas.space.nas_bench_201 import NasBench201, from_string
from hwnas.space.replay import build
from tests.data import data


def test_parameters_and_multiply_adds_of_all_15625_networks() -> None:
    table = np.load(data("nas_bench_201.npz"), allow_pickle=False)
    space = NasBench201(TensorType((3, 32, 32)), 10)
    costs = [network_cost(build(space, from_string(s.decode()))) for s in table["arch_str"]]
    assert len(costs) == 15625
    params = np.array([c.params for c in costs])
    mflops = np.array(
        [sum(n for name, n in c.by_operator if name in ("conv", "linear")) / 1e6 for c in costs]
    )
    np.testing.assert_array_equal(params, np.rint(table["c10_params"]).astype(int))
    np.testing.assert_allclose(mflops, table["c10_mflops"], rtol=1e-3)
