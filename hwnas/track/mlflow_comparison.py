"""A comparison as MLflow shows it: a parent run, and a child for each strategy."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger("hwnas")
_POINTS = 500  # of a curve, at most: two curves fit one call


def log_comparison(uri: str, experiment: str, folder: Path, result: Mapping[str, Any]) -> bool:
    """Log ``compare.json`` of ``folder``, its picture and every strategy's curve.

    Whether MLflow took it; if it did not, a warning says so, as the files are the truth.
    """
    from hwnas.track._mlflow_client import opened

    try:
        client, _, experiment_id = opened(uri, experiment)
        tags = {"hwnas.folder": str(folder.resolve())}
        parent = client.create_run(experiment_id, run_name=folder.name, tags=tags).info.run_id
        for name in ("compare.json", "compare.png"):
            client.log_artifact(parent, str(folder / name))
        for row in result["strategies"]:
            _strategy(client, experiment_id, parent, row)
        client.set_terminated(parent)
    except Exception as error:  # noqa: BLE001 (tracking never stops a comparison)
        message = (str(error).splitlines() or [""])[0]
        log.warning("MLflow has not got the comparison (%s): %s", type(error).__name__, message)
        return False
    return True


def _strategy(client: Any, experiment_id: str, parent: str, row: Mapping[str, Any]) -> None:
    from mlflow.entities import Metric, Param

    from hwnas.track._mlflow_client import METRICS, PARAMS, VALUE

    tags = {"mlflow.parentRunId": parent}
    run = client.create_run(experiment_id, run_name=row["name"], tags=tags).info.run_id
    now, budget = int(time.time() * 1000), len(row["mean"])
    metrics = [Metric("rank", row["rank"], now, 0)]
    if row["p"] is not None:
        metrics.append(Metric("p", row["p"], now, 0))
    for at in range(0, budget, -(-budget // _POINTS)):
        metrics.append(Metric("share", row["mean"][at], now, at + 1))
        metrics.append(Metric("share_std", row["std"][at], now, at + 1))
    params = [Param(key, str(value)[:VALUE]) for key, value in row["search"].items()]
    client.log_batch(run, metrics[:METRICS], params[:PARAMS])
    client.set_terminated(run)
