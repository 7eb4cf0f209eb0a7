"""Every strategy x space x estimator that fits searches, is killed, and goes on identically."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hwnas.core.registry import discover
from tests.contract import tiny
from tests.contract.tiny import Combination

PAIRS = list(dict.fromkeys((c.strategy, c.estimator) for c in tiny.combinations()))


@pytest.mark.parametrize(("strategy", "estimator"), PAIRS, ids=map("-".join, PAIRS))
def test_killed_and_resumed_in_a_new_process(
    strategy: str, estimator: str, tmp_path: Path, elsewhere: ProcessPoolExecutor
) -> None:
    parts = tiny.quick(strategy, estimator, tmp_path / "fits")
    if parts is None:
        pytest.skip("they fit together in none of the quick spaces")
    _compare(parts, tmp_path, elsewhere)


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
    def fitting(pairs: Iterable[tuple[str, str]]) -> Iterator[Combination]:
        found = (tiny.quick(*pair, tmp_path / "-".join(pair)) for pair in pairs)
        return (parts for parts in found if parts is not None)

    for estimator in discover("estimators"):
        assert any(fitting(pair for pair in PAIRS if pair[1] == estimator)), estimator
    for strategy in discover("strategies"):
        # Some are of one space, which they meet in the slow tests.
        own = [c for c in tiny.combinations() if c.strategy == strategy]
        somewhere = (c for i, c in enumerate(own) if not tiny.fits(c, tmp_path / f"{strategy}{i}"))
        assert any(fitting(pair for pair in PAIRS if pair[0] == strategy)) or any(somewhere)
