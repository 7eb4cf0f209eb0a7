"""MLflow beside a run, if the pipeline wants it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from hwnas.pipeline.run import Run


@contextmanager
def mirrored(run: Run) -> Iterator[str | None]:
    """Mirror the run to MLflow while the body works, and its winners into the model registry.

    Yields the command that opens MLflow's pages, None without tracking.
    """
    section = run.pipeline.tracking
    if section.uri is None:
        yield None
        return
    from hwnas.track.mlflow import Mirror, ui_command

    mirror = Mirror(section.uri, section.experiment, run.folder, run.name)
    mirror.start()
    status: Literal["FINISHED", "FAILED", "KILLED"] = "FAILED"
    try:
        yield ui_command(section.uri)
        for model in sorted((run.folder / "export").glob("*/model.json")):
            mirror.register(model.parent)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        mirror.close(status)
