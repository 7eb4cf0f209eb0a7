"""The way to MLflow, quick and quiet."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

METRICS, PARAMS = 1000, 100  # at most, a call (MLflow's limits)
VALUE = 6000  # characters of a parameter, likewise


def database(uri: str) -> Path | None:
    """The file behind an SQLite ``uri``, absolute; None for another kind of ``uri``."""
    match = re.match(r"sqlite:///([^?]+)", uri)
    return Path(match[1]).expanduser().resolve() if match else None


def opened(uri: str, experiment: str) -> tuple[MlflowClient, str, str]:
    """A client, the full uri, and the id of the experiment, made if it is not there.

    Of an SQLite file the folder is made, and artefacts lie beside it.
    """
    path = database(uri)
    uri = uri if path is None else f"sqlite:///{path}"
    client = connect(uri)
    return client, uri, _experiment(client, uri, experiment)


def connect(uri: str) -> MlflowClient:
    """A client that keeps quiet."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the next sync tries again anyway
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
        "GIT_PYTHON_REFRESH": "quiet",
    }.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    path = database(uri)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _hasten(path)
    from mlflow import MlflowClient

    return MlflowClient(uri)


def _hasten(path: Path) -> None:
    """Four commits a trial without a write-ahead log wait for the disk 130 ms."""
    from sqlalchemy import Engine, event

    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")  # stays with the file
    db.close()
    if not event.contains(Engine, "connect", _relax):
        event.listen(Engine, "connect", _relax)


def _relax(connection: Any, _: object) -> None:
    """Safe against kill, not power loss: as our own store, and for the mirror of it."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = NORMAL")


def _experiment(client: MlflowClient, uri: str, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    path = database(uri)
    place = None
    if path is not None:  # MLflow's default is below the working directory, wherever that is
        place = (path.parent / "mlruns" / re.sub(r"[^\w.-]+", "-", name)).as_uri()
    return str(client.create_experiment(name, artifact_location=place))
