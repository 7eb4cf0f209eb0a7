"""How fast FLOPs and parameters are counted: by cached signatures, and by fvcore on the whole.

    python benchmarks/costs.py [RESULT.json]

Random networks of NAS-Bench-201 (16 channels, 5 cells a stage, 32x32). Both ways build the graph;
fvcore needs a torch module besides and traces it. They take turns and must agree on every network.
"""

import json
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hwnas.core.architecture import Architecture
from hwnas.core.tensor_type import TensorType
from hwnas.profile.conditions import conditions
from hwnas.profile.cost import cost, network_cost
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.space.nn.network import Network
from hwnas.space.replay import build

NETWORKS = 2000
WHOLE = 40  # of them are also counted whole, one after every NETWORKS / WHOLE


def whole(network: Network, x: torch.Tensor) -> int:
    """FLOPs by tracing the module."""
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(network, x)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return int(analysis.total())


def measure() -> dict[str, Any]:
    """The result, plain JSON."""
    torch.set_num_threads(1)
    space = NasBench201(TensorType((3, 32, 32)), 10)
    rng = np.random.default_rng(0)
    points = [sample(space, rng) for _ in range(NETWORKS)]
    x = torch.zeros(1, 3, 32, 32)
    dense = Architecture(dict.fromkeys(points[0], "nor_conv_3x3"))
    whole(Network(build(space, dense)).eval(), x)  # imports are no part of it
    cost.cache_clear()
    build_seconds = count_seconds = module_seconds = trace_seconds = 0.0
    for i, point in enumerate(points):
        start = time.perf_counter()
        graph = build(space, point)
        built = time.perf_counter()
        found = network_cost(graph)
        count_seconds += time.perf_counter() - built
        build_seconds += built - start
        if i % (NETWORKS // WHOLE):
            continue
        start = time.perf_counter()
        network = Network(graph).eval()
        made = time.perf_counter()
        total = whole(network, x)
        trace_seconds += time.perf_counter() - made
        module_seconds += made - start
        if total != found.flops or sum(p.numel() for p in network.parameters()) != found.params:
            raise SystemExit(f"{point} is counted differently.")
    build_ms, count_ms = (1e3 * s / NETWORKS for s in (build_seconds, count_seconds))
    module_ms, trace_ms = (1e3 * s / WHOLE for s in (module_seconds, trace_seconds))
    return {
        "what": "FLOPs and parameters of NAS-Bench-201 networks, cold cache included",
        "networks": NETWORKS,
        "networks_by_fvcore": WHOLE,
        "ms_a_network": {
            "build": build_ms, "count": count_ms, "module": module_ms, "fvcore": trace_ms,
        },
        "networks_a_second": {
            "hwnas": 1e3 / (build_ms + count_ms),
            "fvcore": 1e3 / (build_ms + module_ms + trace_ms),
        },
        "ratio": (build_ms + module_ms + trace_ms) / (build_ms + count_ms),
        "ratio_of_counting_alone": trace_ms / count_ms,
        "distinct_signatures": cost.cache_info().currsize,
        "conditions": conditions(),
    }  # fmt: skip


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    default = Path(__file__).parent / "results" / "costs.json"
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    path.parent.mkdir(parents=True, exist_ok=True)
    result = measure()
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
