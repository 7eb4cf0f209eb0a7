"""Every strategy x space x estimator that fits searches, is killed, and goes on identically."""

from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from hwnas.core.registry import discover
from tests.contract import tiny
from tests.contract.tiny import Combination

STRATEGIES = list(discover("strategies"))
ESTIMATORS = list(discover("estimators"))


@cache
def fitting(strategy: str) -> list[Combination]:
    """It with each estimator that it fits in a quick space; another one first for another one."""
    with TemporaryDirectory() as folder:
        found = (tiny.quick(strategy, name, Path(folder, name)) for name in ESTIMATORS)
        parts = [p for p in found if p is not None]
    turn = STRATEGIES.index(strategy) % max(1, len(parts))
    return parts[turn:] + parts[:turn]


@pytest.mark.parametrize("turn", range(2))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_killed_and_resumed_in_a_new_process(
    strategy: str, turn: int, tmp_path: Path, elsewhere: ProcessPoolExecutor
) -> None:
    """With two estimators, turn about; slow tests have all of them."""
    parts = fitting(strategy)[turn : turn + 1]
    if not parts:
        pytest.skip(f"{strategy} fits {turn} of the estimators in the quick spaces")
    _compare(*parts, tmp_path, elsewhere)


@pytest.mark.slow
@pytest.mark.parametrize("parts", tiny.combinations(), ids=map("-".join, tiny.combinations()))
def test_in_every_space(parts: Combination, tmp_path: Path, elsewhere: ProcessPoolExecutor) -> None:
    misfit = tiny.fits(parts, tmp_path / "fits")
    if misfit:
        pytest.skip(misfit)
    _compare(parts, tmp_path, elsewhere)


def _compare(parts: Combination, tmp_path: Path, elsewhere: ProcessPoolExecutor) -> None:
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
    found = {s: fitting(s) for s in STRATEGIES}
    met = {parts.estimator for some in found.values() for parts in some[:2]}
    assert met == set(ESTIMATORS)
    for strategy in (s for s, some in found.items() if not some):
        # Some are of one space, which they meet in the slow tests.
        own = [c for c in tiny.combinations() if c.strategy == strategy]
        assert any(not tiny.fits(c, tmp_path / f"{strategy}{i}") for i, c in enumerate(own))
