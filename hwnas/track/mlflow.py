"""A run as MLflow shows it. The store is the truth; this is its mirror, for people."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from hwnas.track._mlflow_runs import Runs

Status = Literal["FINISHED", "FAILED", "KILLED"]
log = logging.getLogger("hwnas")


class Mirror:
    """Mirrors the run ``folder`` into ``experiment`` of the MLflow at ``uri``.

    :meth:`start` does so every few seconds in a process of its own, because MLflow takes seconds
    to import and 25 ms of Python a trial, which in a thread would show in measured latencies.
    Without it :meth:`sync` and :meth:`register` work here and now. Nothing raises: what cannot be
    mirrored is logged as a warning once, and made up for by the next sync that gets through.
    """

    def __init__(self, uri: str, experiment: str, folder: Path, name: str) -> None:
        self._uri = uri
        self._experiment = experiment
        self._folder = folder
        self._name = name
        self._runs: Runs | None = None
        self._warned = False
        self._models: list[Path] = []  # to be registered
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self, interval: float = 3.0) -> None:
        """Sync every ``interval`` seconds until :meth:`close`, in a process beside this one.

        That process ends with this one, however it ends: it then marks the run as killed.
        """
        if self._process is not None:
            return
        what = [self._uri, self._experiment, str(self._folder), self._name, interval]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hwnas.track._mlflow_process", json.dumps(what)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for the search, which then closes this
        )
        self._reader = threading.Thread(target=self._relay, name="mlflow", daemon=True)
        self._reader.start()

    def sync(self) -> bool:
        """Mirror now whatever is new; whether MLflow has it all."""
        return self._attempt(self._sync)

    def register(self, folder: Path) -> bool:
        """Put the model of an export folder (``model.onnx``, ``model.json``) into the registry.

        The registered model is called like the experiment, the first of a run is its ``winner``.
        Whether it is there already; it comes with a later sync if not.
        """
        self._models.append(folder.resolve())
        if self._process is not None:
            self._send("register", str(self._models.pop()))
            return False
        return self.sync()

    def close(self, status: Status = "FINISHED", patience: float = 60.0) -> None:
        """Sync a last time and end the parent run; waits at most ``patience`` seconds for it."""
        if self._process is None:
            self.sync()
            self._end(status)
            return
        self._send("end", status)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            log.warning("MLflow is still catching up, in the background.")
            return
        if self._reader is not None:
            self._reader.join(patience)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None

    def kill(self) -> None:
        """Mark the run as killed without a last sync, as who called :meth:`start` is gone."""
        self._end("KILLED")

    def _end(self, status: Status) -> None:
        if self._begun():
            self._attempt(lambda: self._connected().end(status))
            self._runs = None

    def _begun(self) -> bool:
        """Whether the search has its store in order; opened earlier we could be in its way."""
        return (self._folder / "front.json").exists()

    def _connected(self) -> Runs:
        if self._runs is None:
            from hwnas.track._mlflow_runs import Runs

            self._runs = Runs(self._uri, self._experiment, self._folder, self._name)
        return self._runs

    def _sync(self) -> None:
        if not self._begun():
            return
        runs = self._connected()
        runs.sync()
        while self._models:
            from hwnas.track._mlflow_model import register

            register(runs, self._experiment, self._models[0])
            del self._models[0]

    def _attempt(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except Exception as error:  # noqa: BLE001 (tracking never stops a search)
            self._runs = None
            level = logging.DEBUG if self._warned else logging.WARNING
            message = (str(error).splitlines() or [""])[0]
            log.log(level, "MLflow is behind (%s: %s); the run goes on.", _kind(error), message)
            self._warned = True
            return False
        self._warned = False
        return True

    def _send(self, *words: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            log.warning("The MLflow mirror has died; run with --resume to catch up.")

    def _relay(self) -> None:
        """Log here what the other process has to say; blocked on a pipe nearly all the time."""
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            log.warning("%s", line.rstrip())


def ui_command(uri: str) -> str:
    """The shell command that shows what is at ``uri``, from the present working directory."""
    from hwnas.track._mlflow_client import database

    if uri.startswith(("http://", "https://")):
        return shlex.join([sys.executable, "-m", "webbrowser", uri])
    path = database(uri)
    place = f"sqlite:///{path}" if path is not None else uri
    return shlex.join([_program(), "ui", "--backend-store-uri", place, "--workers", "1"])


def _program() -> str:
    """``mlflow`` of this environment, which need not be the one on the path, if there is any."""
    own = Path(sys.executable).with_name("mlflow")
    found = shutil.which("mlflow")
    if not own.exists() or (found is not None and Path(found) == own):
        return "mlflow"
    return str(own.relative_to(Path.cwd())) if own.is_relative_to(Path.cwd()) else str(own)


def _kind(error: Exception) -> str:
    return type(error).__name__
