"""Events on a terminal, live; elsewhere as plain lines."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from rich.console import Console as Terminal
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from hwnas.core.tracker import Event, Tracker

_STAGES = ("space", "search", "estimate", "profile", "export")
_DOES = {
    "space": "checks the space",
    "search": "looks for a front",
    "estimate": "retrains a shortlist",
    "profile": "measures finalists",
    "export": "writes and checks ONNX",
}
_RECENT = 30  # steps that the rate is taken from


class Console(Tracker):
    """A checklist of ``stages`` with what the present one is doing; on stderr by default.

    ``interval`` seconds at least lie between two lines of progress where there is no terminal to
    draw on. ``clock`` tells seconds.
    """

    def __init__(
        self,
        terminal: Terminal | None = None,
        interval: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        stages: Sequence[str] = _STAGES,
    ) -> None:
        self._terminal = terminal or Terminal(stderr=True)
        self._interval = interval
        self._clock = clock
        self._stages = {name: _Stage(name) for name in stages}
        self._order = list(stages)
        self._live: Live | None = None
        self._closed = False

    def record(self, event: Event) -> None:
        """Show an event."""
        if event.stage not in self._stages:
            self._stages[event.stage] = _Stage(event.stage)
            self._order.append(event.stage)
        stage = self._stages[event.stage]
        known = event.kind == "start" and stage.state == "running"  # now with a total
        stage.take(event, self._clock())
        if self._terminal.is_terminal and not self._closed:
            self._draw(event)
        elif not known:
            self._write(event, stage)

    def close(self) -> None:
        """Leave the last state on the screen and give the terminal back. May be called twice."""
        self._closed = True
        live, self._live = self._live, None
        if live is not None:
            live.update(self._checklist(), refresh=True)
            live.stop()

    def _draw(self, event: Event) -> None:
        if self._live is None:
            self._live = Live(
                console=self._terminal,
                get_renderable=self._checklist,
                refresh_per_second=4,
                redirect_stdout=False,
            )
            self._live.start()
        if event.kind == "say":  # stays above the checklist
            self._terminal.print(Text(f"  {event.message}", style="yellow"), highlight=False)

    def _write(self, event: Event, stage: _Stage) -> None:
        now = self._clock()
        if event.kind == "progress":
            if now - stage.printed < self._interval and event.done < event.total:
                return
            stage.printed = now
        line = {
            "start": f"{'goes on at' if stage.done else 'started,'} {stage.done}/{stage.total}"
            if stage.total
            else "started",
            "progress": " · ".join(
                [f"{stage.done}/{stage.total}", *stage.figures(), *stage.times(now)]
            ),
            "say": event.message,
            "skip": event.message or "skipped, nothing has changed",
            "end": f"done in {_time(stage.spent(now))}" + (event.message and f": {event.message}"),
        }[event.kind]
        text = Text(f"{event.stage:<9}{line}")
        self._terminal.print(text, highlight=False, soft_wrap=True)

    def _checklist(self) -> RenderableType:
        now = self._clock()
        table = Table.grid(padding=(0, 2, 0, 0), expand=False)
        table.add_column(width=1)
        table.add_column(width=max(map(len, self._order)))
        table.add_column(overflow="fold")
        table.add_column(justify="right", no_wrap=True)
        for name in self._order:
            stage = self._stages[name]
            table.add_row(*stage.row(now, self._closed))
        return Group(table)


class _Stage:
    """What is known of one stage, and how it looks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = "waiting"
        self.done = self.total = 0
        self.printed = float("-inf")
        self._message = ""
        self._values: dict[str, object] = {}
        self._began = self._ended = 0.0
        self._steps: deque[tuple[float, int]] = deque(maxlen=_RECENT)
        self._spinner = Spinner("dots", style="cyan")

    def take(self, event: Event, now: float) -> None:
        if event.kind == "start" or (event.kind == "progress" and self.state != "running"):
            self.state, self._began, self._message = "running", now, ""
            self._steps.clear()
        if event.kind in ("start", "progress"):
            self.done, self.total = event.done, event.total
            if event.kind == "progress":  # the first step warms up, so it tells no rate
                self._steps.append((now, event.done))
            self._values |= event.values
        elif event.kind in ("skip", "end"):
            self.state = "skipped" if event.kind == "skip" else "done"
            self._ended, self._message = now, event.message

    def spent(self, now: float) -> float:
        """Seconds since the start, up to the end."""
        return (now if self.state == "running" else self._ended) - self._began

    def left(self, now: float) -> float | None:
        """Seconds to the end at the rate of recent steps; None before there is a rate."""
        if len(self._steps) < 2:
            return None
        (then, before), (last, done) = self._steps[0], self._steps[-1]
        if done <= before:
            return None
        due = (self.total - done) * (last - then) / (done - before)
        return max(0.0, due - (now - last))

    def times(self, now: float) -> list[str]:
        """Elapsed and left, for people."""
        left = self.left(now)
        ahead = [f"{_time(left)} left"] if left is not None and self.done < self.total else []
        return [_time(self.spent(now)), *ahead]

    def figures(self) -> list[str]:
        """The latest values, for people."""
        shown = []
        for name, value in self._values.items():
            if name == "hypervolume" and isinstance(value, float):
                shown.append(f"hypervolume {value:.1%}")
            elif name == "best":
                shown.append(f"best {value}")
            elif name not in ("failed", "pending") or value:
                text = f"{value:.4g}" if isinstance(value, float) else str(value)
                shown.append(
                    f"{text} {name}" if name in ("failed", "pending") else f"{name} {text}"
                )
        return [s.strip() for s in shown]

    def row(self, now: float, closed: bool) -> tuple[RenderableType, ...]:
        """Mark, name, what it does or has done, time."""
        if self.state == "waiting":
            does = Text(_DOES.get(self.name, ""), style="dim")
            return Text("·", style="dim"), Text(self.name, style="dim"), does, ""
        if self.state == "skipped":
            why = Text(self._message or "nothing has changed", style="dim")
            return Text("✓", style="dim green"), Text(self.name, style="dim"), why, ""
        time_ = Text(_time(self.spent(now)), style="dim")
        if self.state == "done":
            return Text("✓", style="bold green"), Text(self.name), Text(self._message), time_
        mark: RenderableType = Text("✗", style="bold red") if closed else self._spinner
        name = Text(self.name, style="bold")
        return mark, name, self._running(now), time_

    def _running(self, now: float) -> RenderableType:
        if not self.total:
            return Text(_DOES.get(self.name, ""))
        left = self.left(now)
        bar = Table.grid(padding=(0, 2, 0, 0))
        bar.add_row(
            ProgressBar(self.total, self.done, width=24),
            Text(f"{self.done}/{self.total}"),
            Text(f"{_time(left)} left" if left is not None and self.done < self.total else ""),
        )
        lines: list[RenderableType] = [bar]
        figures = Text()
        for figure in self.figures():
            failed = figure.endswith(" failed")
            figures.append(" · " if figures else "", style="dim")
            figures.append(figure, style="red" if failed else "cyan")
        return Group(*lines, figures) if figures else bar


def _time(seconds: float) -> str:
    """As in ``8 s``, ``1:05`` (minutes) and ``2:03:04``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"
