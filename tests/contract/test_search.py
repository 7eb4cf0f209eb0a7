"""Every strategy x space x estimator that fits searches, is killed, and goes on identically."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hwnas.core.registry import discover
from tests.contract import tiny
from tests.contract.tiny import Combination

CASES = [
    pytest.param(parts, id="-".join(parts), marks=() if quick else pytest.mark.slow)
    for parts in tiny.combinations()
    for quick in [parts.space in tiny.QUICK]
]


@pytest.mark.parametrize("parts", CASES)
def test_killed_and_resumed_in_a_new_process(
    parts: Combination, tmp_path: Path, elsewhere: ProcessPoolExecutor
) -> None:
    misfit = tiny.fits(parts, tmp_path / "fits")
    if misfit:
        pytest.skip(misfit)
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    calm.mkdir()
    killed.mkdir()
    expected = elsewhere.submit(tiny.finish, parts, calm)
    rng = np.random.default_rng(parts.seed)
    stopped = tiny.stop(parts, killed, int(rng.integers(1, 5)))
    assert stopped >= 1
    trials, curve = elsewhere.submit(tiny.finish, parts, killed).result()
    assert trials
    assert (trials, curve) == expected.result()
    failures = [failed for *_, failed in trials if failed is not None]
    assert len(failures) <= len(trials) // 4  # a deep network may diverge at the task's rate
    assert all("training loss is nan" in failed for failed in failures)
    volumes = [volume for _, volume in curve]
    assert volumes == sorted(volumes)


def test_every_component_fits_somewhere(tmp_path: Path) -> None:
    every = tiny.combinations()
    quick = [c for c in every if c.space in tiny.QUICK]
    fitting = [c for i, c in enumerate(quick) if not tiny.fits(c, tmp_path / str(i))]
    met = {c.strategy for c in fitting}
    # Some strategies are of one space, which they meet in the slow tests.
    others = [c for c in every if c.strategy not in met]
    met |= {c.strategy for i, c in enumerate(others) if not tiny.fits(c, tmp_path / f"other{i}")}
    assert met == set(discover("strategies"))
    assert {c.estimator for c in fitting} == set(discover("estimators"))
