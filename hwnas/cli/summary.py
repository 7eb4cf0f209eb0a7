"""The five lines at the end of a run."""

from pathlib import Path

from rich.console import Console

from hwnas.cli.show import collect


def summary(folder: Path, ui: str | None) -> None:
    """Say what was found, where the model is, and how to look further."""
    data = collect(folder)
    console = Console(highlight=False, soft_wrap=True)
    front = sum(t["front"] for t in data["trials"])
    console.print(
        f"[bold]Found[/]    {front} networks on the front of {data['evaluations']} trials"
    )
    for winner in data["winners"][:1]:
        got, promised = winner["delivered"], winner["promised"]
        figures = [f"{name} {got[name]:.4g}" for name in promised if name in got]
        latency = f" (promised {promised['latency_ms']:.3g})" if "latency_ms" in promised else ""
        console.print(
            f"[bold]Winner[/]   {', '.join(figures)}{latency}, parity {got['parity']:.0e}"
        )
        console.print(f"[bold]Model[/]    {winner['model']}")
    console.print(f"[bold]Report[/]   {data['report']}")
    if ui:
        console.print(f"[bold]MLflow[/]   {ui}")
