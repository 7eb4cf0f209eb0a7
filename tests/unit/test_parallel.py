"""Several processes give the same outcomes as one, and one that dies is not waited for."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hwnas.core import Architecture, HwnasError, Outcome, Pick, Proposal, Setting
from hwnas.estimate.train import Train
from hwnas.estimate.wrap.parallel import Parallel
from hwnas.graph.graph import Graph
from hwnas.space.moves import sample
from hwnas.space.nas_bench_201 import NasBench201
from hwnas.testing import FakeTask

TASK = FakeTask()


class Deadly(NasBench201):
    """Kills the worker that builds a network whose first edge is ``none``."""

    def graph(self, pick: Pick) -> Graph:
        graph = super().graph(pick)
        in_worker = multiprocessing.parent_process() is not None
        if in_worker and "0-1/none" in {n.id.rpartition("cell0/")[2] for n in graph}:
            os._exit(1)
        return graph


def point(first: str) -> Architecture:
    others = {f"{i}-{j}": "skip_connect" for j in range(1, 4) for i in range(j)}
    return Architecture(others | {"0-1": first})


def setting(folder: Path, deadly: bool = False) -> Setting:
    space = Deadly if deadly else NasBench201
    return Setting(space(TASK.input, TASK.outputs, cells=1, channels=2), TASK, folder=folder)


def test_two_workers_find_what_one_process_finds(tmp_path: Path) -> None:
    rng, space = np.random.default_rng(0), setting(tmp_path).space
    proposals = [Proposal(i, sample(space, rng), 1) for i in range(5)]
    proposals.append(Proposal(5, Architecture({"else": 1}), 1))
    alone = {o.proposal.id: o for o in Train(setting(tmp_path), epochs=1).estimate(proposals)}
    parallel = Parallel(setting(tmp_path), {"name": "train", "epochs": 1}, 2)
    try:
        assert parallel.slots >= 2
        assert parallel.units == 1
        assert parallel.provides == Train.provides
        together = {o.proposal.id: o for o in parallel.estimate(proposals)}
    finally:
        parallel.close()
    assert together.keys() == alone.keys()
    for id, outcome in together.items():
        assert outcome.proposal == alone[id].proposal
        assert outcome.metrics == alone[id].metrics
        assert outcome.failed == alone[id].failed
    assert together[5].failed is not None


def test_a_worker_that_dies_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    fine, deadly = point("nor_conv_1x1"), point("none")
    # Four processes begin here, so it is one that does not import torch.
    config = {"name": "hwnas.testing.fakes:FakeEstimator"}
    parallel = Parallel(setting(tmp_path, deadly=True), config, 2)
    seen: list[Outcome] = []

    def source() -> Iterator[Proposal]:
        yield Proposal(0, deadly, 1)
        deadline = time.monotonic() + 60  # until the pool has noticed that its worker died
        while not parallel._pool._broken and time.monotonic() < deadline:
            time.sleep(0.05)
        yield Proposal(1, fine, 1)
        yield Proposal(2, fine, 1)

    try:
        seen.extend(parallel.estimate(source()))
    finally:
        parallel.close()
    found = {o.proposal.id: o.failed for o in seen}
    assert found.keys() == {0, 1, 2}
    assert "died twice" in str(found[0])
    assert found[1] is None
    assert found[2] is None


def test_weights_that_are_shared_cannot_be_divided(tmp_path: Path) -> None:
    with pytest.raises(HwnasError, match=r"search\.workers") as caught:
        Parallel(setting(tmp_path), {"name": "shared"}, 2)
    assert "workers: 1" in caught.value.hint
