"""``hwnas run`` and one command a stage."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli._screen import screen

STAGES = {
    "space": "Build and check the search space: size, costs, a picture.",
    "search": "Run the strategy; keep the front.",
    "estimate": "Train a shortlist of the front again, in full.",
    "profile": "Measure the finalists on the device.",
    "export": "Export winners to ONNX, verify and measure them.",
}

File = Annotated[Path, typer.Argument(metavar="PIPELINE", help="A pipeline file.")]
Out = Annotated[Path | None, typer.Option(help="Run folder [default: runs/NAME]")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
Set = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="e.g. search.population=50")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command(help="All stages: from a pipeline file to verified ONNX models.")
    def run(
        pipeline: File, out: Out = None, seed: Seed = None, set: Set = None, resume: Resume = False
    ) -> None:
        _run(pipeline, out, seed, set or (), resume, tuple(STAGES))

    for name, summary in STAGES.items():
        app.command(name=name, help=summary)(_stage(name))


def _stage(name: str) -> Callable[..., None]:
    def command(
        pipeline: File, out: Out = None, seed: Seed = None, set: Set = None, resume: Resume = False
    ) -> None:
        _run(pipeline, out, seed, set or (), resume, (name,))

    return command


def _run(
    path: Path,
    out: Path | None,
    seed: int | None,
    settings: Sequence[str],
    resume: bool,
    stages: Sequence[str],
) -> None:
    from hwnas.cli.overview import overview
    from hwnas.cli.summary import summary
    from hwnas.core.tracker import Event
    from hwnas.pipeline.config import read
    from hwnas.pipeline.mirror import mirrored
    from hwnas.pipeline.pipeline import execute, folder_for, prepare
    from hwnas.pipeline.run import Run

    pipeline = read(path, settings, seed)
    onwards = resume or stages[0] != "space"
    folder = folder_for(path, out, onwards)
    with screen("Nothing is lost: the same command with --resume goes on.") as console:
        run = Run(pipeline, folder, path.stem, console.record)
        console.record(Event(stages[0], "start"))  # reading the data can take a while
        finished = prepare(run, stages, resume)
        with mirrored(run) as ui:
            execute(run, stages, finished)
    if stages == ("space",):
        overview(folder)
    if stages[-1] == "export":
        summary(folder, ui)
