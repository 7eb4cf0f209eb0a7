"""How fast networks are built and their costs counted: by cached signatures, and by fvcore.

    python benchmarks/costs.py [RESULT.json]

Random networks of NAS-Bench-201 (16 channels, 5 cells a stage) and of DARTS (36 channels, 20
cells), 32x32, on one thread. FLOPs, parameters and peak memory of each are found from its graph; of
some, fvcore counts FLOPs of the whole torch module besides, in turns, and must agree. Of a few the
latency is measured as well, and compared with the sum of the times of their operations, which is
what a mixture's latency is made of.
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
from hwnas.core.device import Device
from hwnas.core.registry import create
from hwnas.core.space import Space
from hwnas.core.tensor_type import TensorType
from hwnas.graph.graph import Graph
from hwnas.profile.conditions import conditions
from hwnas.profile.cost import cost, network_cost
from hwnas.profile.footprint import footprint
from hwnas.profile.memory import peak_bytes
from hwnas.profile.operator_times import OperatorTimes
from hwnas.profile.runner import runner
from hwnas.profile.stopwatch import Stopwatch as Timer
from hwnas.space.moves import sample
from hwnas.space.nn.network import Network
from hwnas.space.replay import build

NETWORKS = {"nas_bench_201": 2000, "darts": 500}
WHOLE = 20  # of them are also counted whole, spread evenly
TIMED = 5  # of them are also timed


class Stopwatch:
    """Seconds by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def start(self) -> None:
        """Forget the time since the last lap."""
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Add the time since the last lap to ``name``."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


def whole(graph: Graph, watch: Stopwatch) -> int:
    """FLOPs by tracing the module."""
    from fvcore.nn import FlopCountAnalysis

    watch.start()
    network = Network(graph).eval()
    watch.lap("module")
    analysis = FlopCountAnalysis(network, torch.zeros(1, *graph.input.type.shape))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    total = int(analysis.total())
    watch.lap("fvcore")
    if sum(p.numel() for p in network.parameters()) != network_cost(graph).params:
        raise SystemExit("parameters are counted differently.")
    return total


def summed(space: Space, point: Architecture) -> float:
    """The times of the operations of a network, each timed alone, over that of the network."""
    device, graph = Device(), build(space, point)
    whole = Timer().time(runner(graph, device)).median
    times = OperatorTimes(device, Timer(seconds=0.03))
    return sum(times(n.op, *[i.type for i in n.inputs]) for n in graph if n.op) / whole


def measure(space: Space, networks: int) -> dict[str, Any]:
    """Milliseconds a network, cold caches included."""
    rng = np.random.default_rng(0)
    points = [sample(space, rng) for _ in range(networks)]
    first = build(space, points[0])  # imports are no part of it
    whole(first, Stopwatch())
    peak_bytes(first, 1, 4)
    cost.cache_clear()
    footprint.cache_clear()
    watch, traced = Stopwatch(), Stopwatch()
    for i, point in enumerate(points):
        watch.start()
        graph = build(space, point)
        watch.lap("build")
        found = network_cost(graph)
        watch.lap("count")
        peak_bytes(graph, 1, 4)
        watch.lap("memory")
        if i % (networks // WHOLE) == 0 and whole(graph, traced) != found.flops:
            raise SystemExit(f"{point} is counted differently.")
    own = {name: 1e3 * s / networks for name, s in watch.seconds.items()}
    peer = {name: 1e3 * s / WHOLE for name, s in traced.seconds.items()}
    return {
        "networks": networks,
        "networks_by_fvcore": WHOLE,
        "ms_a_network": {**own, **peer},
        "networks_a_second": {
            "build, FLOPs, parameters": 1e3 / (own["build"] + own["count"]),
            "build, FLOPs, parameters, memory": 1e3 / sum(own.values()),
            "build, fvcore (FLOPs only)": 1e3 / (own["build"] + sum(peer.values())),
        },
        "ratio_of_counting_alone": peer["fvcore"] / own["count"],
        "ratio_of_the_sum_of_operations_to_the_latency": float(
            np.median([summed(space, point) for point in points[:TIMED]])
        ),
        "distinct_signatures": cost.cache_info().currsize,
    }


def main(path: Path) -> None:
    """Measure every space and write the result."""
    torch.set_num_threads(1)
    spaces = {
        name: create("spaces", {"name": name}, "space", TensorType((3, 32, 32)), 10)
        for name in NETWORKS
    }
    result = {
        "what": "graphs built and costs counted, cold caches included, one thread",
        **{name: measure(space, NETWORKS[name]) for name, space in spaces.items()},
        "conditions": conditions(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    default = Path(__file__).parent / "results" / "costs.json"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
