"""Stage 3: a shortlist of the front is trained again in full and tested."""

from pathlib import Path
from typing import Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.errors import FAILURES, HwnasError
from hwnas.core.files import read_json, write_json
from hwnas.core.tracker import Event
from hwnas.estimate.nn import checkpoint
from hwnas.estimate.nn.batches import Batches
from hwnas.estimate.nn.compute import derive, settle
from hwnas.estimate.nn.learner import Learner
from hwnas.export.select import shortlist
from hwnas.pipeline.run import Run
from hwnas.space.replay import build


def run(run: Run) -> None:
    """Write ``estimated.json`` and the weights of every training, each as soon as it is done."""
    settle(run.device)
    section = run.pipeline.estimate
    listed = _shortlist(run, read_json(run.folder / "front.json"))
    known = _known(run)
    total = len(listed) * section.seeds
    run.record(Event("estimate", "start", total=total))
    finalists: list[dict[str, Any]] = []
    for i, trial in enumerate(listed):
        architecture = Architecture.from_json(trial["architecture"])
        runs = []
        for seed in range(section.seeds):
            done = known.get((architecture.key, seed)) or _train(run, architecture, seed)
            known[architecture.key, seed] = done
            runs.append(done)
            _write(run, [*finalists, _finalist(run, trial, architecture, runs)])
            run.record(Event("estimate", "progress", i * section.seeds + seed + 1, total))
        finalists.append(_finalist(run, trial, architecture, runs))
    _write(run, finalists)
    main = run.task.metrics[0].name
    values = [f["metrics"][main] for f in finalists if main in f["metrics"]]
    if not values:
        raise HwnasError(f"no finalist could be trained: {finalists[0]['runs'][0]['failed']}")
    best = f"test {main} {min(values):.4f} to {max(values):.4f}"
    run.record(Event("estimate", "end", message=f"{len(finalists)} networks retrained, {best}"))


def _shortlist(run: Run, front: dict[str, Any]) -> list[dict[str, Any]]:
    """The knee of the front and what lies farthest apart; without a front, the nearest trials."""
    members = [t for t in front["trials"] if t["front"]]
    if not members:
        done = [t for t in front["trials"] if t["failed"] is None]
        full = [t for t in done if t["fidelity"]["full"]] or done
        if not full:
            raise HwnasError("the search found no network that works.", "See front.json for why.")
        if full is done:
            why = "no trial was trained in full (more search.evaluations would): the best"
        else:
            why = "no trial is within every limit: the nearest"
        run.say("estimate", f"{why} ones are retrained")
        full.sort(key=lambda t: run.objectives.violation(t["metrics"]))
        return full[: run.pipeline.estimate.shortlist]
    values = np.array([run.objectives.values(t["metrics"]) for t in members])
    return [members[i] for i in shortlist(values, run.pipeline.estimate.shortlist)]


def _known(run: Run) -> dict[tuple[str, int], dict[str, Any]]:
    """Trainings that an interrupted stage has finished."""
    path = run.folder / "estimated.json"
    before = read_json(path) if path.exists() else {}
    if before.get("section") != run.pipeline.estimate.model_dump():
        return {}
    return {(f["key"], r["seed"]): r for f in before["finalists"] for r in f["runs"]}


def _train(run: Run, architecture: Architecture, seed: int) -> dict[str, Any]:
    section, task, device = run.pipeline.estimate, run.task, run.device
    base = derive(run.pipeline.seed, seed)
    try:
        learner = Learner(build(run.space, architecture), task, device, base, section.lr)
        train = Batches(task, "train", device, base, batch=section.batch)
        learner.train(train, section.epochs, section.epochs)
        valid = learner.score(Batches(task, "valid", device, base))
        test = learner.score(Batches(task, "test", device, base))
    except FAILURES as error:
        return {"seed": seed, "failed": f"{type(error).__name__}: {error}"}
    weights = Path("weights") / f"{architecture.key}-{seed}.safetensors"
    checkpoint.save(run.folder / weights, learner.weights(), {"seed": seed})
    return {
        "seed": seed,
        "failed": None,
        "valid": dict(valid),
        "test": dict(test),
        "seconds": learner.spent.seconds,
        "weights": str(weights),
    }


def _finalist(
    run: Run, trial: dict[str, Any], architecture: Architecture, runs: list[dict[str, Any]]
) -> dict[str, Any]:
    """The seed that validates best, its test metrics, and their mean and spread over seeds."""
    main = run.task.metrics[0]
    sign = 1 if main.goal == "min" else -1
    done = [r for r in runs if r["failed"] is None]
    metrics: dict[str, float] = {}
    weights = None
    if done:
        best = min(done, key=lambda r: sign * r["valid"][main.name])
        values = [r["test"][main.name] for r in done]
        metrics = {
            **best["test"],
            f"{main.name}_mean": float(np.mean(values)),
            f"{main.name}_std": float(np.std(values)),
        }
        weights = best["weights"]
    return {
        "id": trial["id"],
        "key": architecture.key,
        "architecture": trial["architecture"],
        "searched": trial["metrics"],
        "metrics": metrics,
        "weights": weights,
        "runs": list(runs),
    }


def _write(run: Run, finalists: list[dict[str, Any]]) -> None:
    section = run.pipeline.estimate
    data = {
        "section": section.model_dump(),
        "metric": run.task.metrics[0].name,
        "epochs": section.epochs,
        "seeds": section.seeds,
    }
    write_json(run.folder / "estimated.json", {**data, "finalists": finalists})
