"""Seconds an ask of the strategies that learn a model, beside BoTorch and Optuna in the same run.

Three objectives on NAS-Bench-201, one thread, the error-like one expensive and two cheap, as in a
search for accuracy, latency and memory. ``OBSERVED`` random networks are told beforehand; then the
median of a few asks, each of which is told. The peers do not know that two objectives are cheap.
Writes ``benchmarks/results/ask_time.json``.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from _nas_bench_201 import EDGES, OPS, SPACE
from ask_tell import NAMES, metrics

from hwnas.core import Context, Metric, Objective, Objectives, Outcome, Spent
from hwnas.core.registry import create
from hwnas.core.strategy import Strategy
from hwnas.profile.conditions import conditions
from hwnas.space.moves import sample

ASKS = 5
OURS = {
    "gp": 300, "surrogate": 500, "forest": 300, "wl": 300, "nasbot": 100, "auto_keras": 100,
    "pnas": 300, "tpe": 300,
}  # fmt: skip


def told(name: str, observed: int) -> Strategy:
    """A strategy that knows as many random networks."""
    objectives = Objectives([Objective(Metric(n, cheap=n != NAMES[0])) for n in NAMES])
    context = Context(
        SPACE, objectives, np.random.default_rng(0), evaluations=10_000, costs=metrics
    )
    made: Strategy = create("strategies", {"name": name}, "search", context)
    rng = np.random.default_rng(1)
    # Asked for all at once, nothing is known, so they are random.
    for proposal in made.ask(observed):
        made.tell([Outcome(proposal, metrics(proposal.architecture), spent=Spent(1))])
    while context.next_id < observed:  # of one that asks for fewer at once
        proposal = context.propose(sample(SPACE, rng))
        made.pending[proposal.id] = proposal
        made.tell([Outcome(proposal, metrics(proposal.architecture), spent=Spent(1))])
    return made


def median(ask: Callable[[], Any]) -> float:
    """Seconds."""
    times = []
    for _ in range(ASKS):
        started = time.perf_counter()
        ask()
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def ours(name: str, observed: int) -> float:
    """Of one strategy of hwnas."""
    strategy = told(name, observed)

    def ask() -> None:
        for proposal in strategy.ask(1):
            outcome = Outcome(proposal, metrics(proposal.architecture), spent=Spent(1))
            strategy.tell([outcome])

    for _ in NAMES:  # what is imported, what is fitted for the first time, and before that the
        ask()  # ends of the front by what is cheap, which need no model
    return median(ask)


def data(observed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random networks as indices of options ``[n, 6]``, and their values ``[n, 3]``."""
    rng = np.random.default_rng(1)
    networks = [sample(SPACE, rng) for _ in range(observed)]
    genes = np.array([[OPS.index(str(v)) for v in a.values()] for a in networks])
    return genes, np.array([list(metrics(a).values()) for a in networks])


def botorch(observed: int) -> float:
    """qLogNEHVI on one-hot choices, by BoTorch's tutorial: fit, then 200 random candidates."""
    import torch
    from botorch import fit_gpytorch_mll
    from botorch.acquisition.multi_objective.logei import (
        qLogNoisyExpectedHypervolumeImprovement as QLogNEHVI,
    )
    from botorch.models import ModelListGP, SingleTaskGP
    from botorch.sampling import SobolQMCNormalSampler
    from gpytorch.mlls import SumMarginalLogLikelihood

    genes, values = data(observed)
    x = torch.nn.functional.one_hot(torch.from_numpy(genes), len(OPS)).flatten(1).double()
    y = -torch.from_numpy(values)
    y = (y - y.mean(0)) / y.std(0)
    candidates, _ = data(observed + 200)
    pool = torch.nn.functional.one_hot(torch.from_numpy(candidates[-200:]), len(OPS)).flatten(1)

    def ask() -> None:
        model = ModelListGP(*[SingleTaskGP(x, y[:, [i]]) for i in range(y.shape[1])])
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        acquisition = QLogNEHVI(
            model=model,
            ref_point=(y.min(0).values - 0.1).tolist(),
            X_baseline=x,
            prune_baseline=True,
            sampler=SobolQMCNormalSampler(torch.Size([128]), seed=0),
        )
        with torch.no_grad():
            acquisition(pool.double()[:, None]).argmax()

    return median(ask)


def optuna(observed: int) -> float:
    """The multivariate TPE."""
    import optuna as peer

    peer.logging.set_verbosity(peer.logging.ERROR)
    sampler = peer.samplers.TPESampler(seed=0, multivariate=True)
    study = peer.create_study(directions=["minimize"] * len(NAMES), sampler=sampler)
    distribution = peer.distributions.CategoricalDistribution(range(len(OPS)))
    for genes, row in zip(*data(observed), strict=True):
        parameters = {f"edge_{i}": int(g) for i, g in enumerate(genes)}
        study.add_trial(
            peer.trial.create_trial(
                values=row.tolist(),
                params=parameters,
                distributions=dict.fromkeys(parameters, distribution),
            )
        )

    def ask() -> None:
        trial = study.ask()
        for i in range(EDGES):
            trial.suggest_categorical(f"edge_{i}", range(len(OPS)))

    return median(ask)


def main() -> None:
    """Measure and write."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)  # NumPy's: for matrices of this size more threads take longer
    warnings.simplefilter("ignore")
    rows: list[Mapping[str, Any]] = [
        {"name": name, "observed": n, "seconds": ours(name, n)} for name, n in OURS.items()
    ]
    for name, peer, n in (("BoTorch qLogNEHVI", botorch, 300), ("Optuna TPE", optuna, 300)):
        rows.append({"name": name, "observed": n, "seconds": peer(n)})
    result = {"asks": ASKS, "threads": 1, "strategies": rows, "conditions": conditions()}
    path = Path(__file__).parent / "results" / "ask_time.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
