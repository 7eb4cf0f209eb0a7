"""The process beside a search that keeps MLflow up to date; started by Mirror.start."""

import fcntl
import json
import logging
import os
import queue
import sys
import threading
from pathlib import Path

from hwnas.track.mlflow import Mirror

_GONE: list[str] = []
log = logging.getLogger("hwnas")


def main() -> None:
    """Sync until told the end by a line on stdin, or until whoever would tell it is gone."""
    uri, experiment, folder, name, interval = json.loads(sys.argv[1])
    os.nice(10)
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    try:
        _serve(Mirror(uri, experiment, Path(folder), name), Path(folder), interval)
    except Exception as error:  # noqa: BLE001 (the last words go to whoever started us)
        log.warning("The MLflow mirror ends: %s: %s", type(error).__name__, error)


def _serve(mirror: Mirror, folder: Path, interval: float) -> None:
    parent = os.getppid()
    lines: queue.Queue[list[str]] = queue.Queue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    locked = False
    while True:
        if not locked and folder.is_dir():
            # A resumed run waits here until the process of the killed one has left.
            fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)
            locked = True
        try:
            words = lines.get(timeout=interval)
        except queue.Empty:
            if os.getppid() == parent:
                mirror.sync()
                continue
            words = _GONE  # a pipe can outlive it in its other children
        match words:
            case ["register", path]:
                mirror.register(Path(path))
            case ["end", ("FINISHED" | "FAILED" | "KILLED") as status]:
                mirror.close(status)
                return
            case _:
                mirror.kill()
                return


def _listen(lines: queue.Queue[list[str]]) -> None:
    for line in sys.stdin:
        lines.put(json.loads(line))
    lines.put(_GONE)


if __name__ == "__main__":
    main()
