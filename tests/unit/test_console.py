"""What people see of a run."""

import io

import pytest
from rich.console import Console as Terminal

from hwnas.core.tracker import Event
from hwnas.track.console import Console


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def plain() -> tuple[Terminal, io.StringIO]:
    out = io.StringIO()
    return Terminal(file=out, width=80, force_terminal=False), out


def live() -> tuple[Terminal, io.StringIO]:
    out = io.StringIO()
    return Terminal(file=out, width=80, height=24, force_terminal=True), out


def shown(console: Console) -> str:
    terminal = Terminal(width=80, record=True, file=io.StringIO(), color_system=None)
    terminal.print(console._checklist())
    return terminal.export_text()


def test_lines_without_a_terminal(clock: Clock) -> None:
    terminal, out = plain()
    console = Console(terminal, interval=5, clock=clock)
    console.record(Event("search", "start", 0, 100))
    for i in range(1, 101):
        clock.now += 1
        figures = {"hypervolume": 0.5, "best": "error 0.03", "front": 7, "failed": 2}
        console.record(Event("search", "progress", i, 100, values=figures))
    console.record(Event("search", "end", message="100 trials"))
    console.record(Event("profile", "skip"))
    console.close()
    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    assert lines[0] == "search   started, 0/100"
    assert lines[-2] == "search   done in 1:40: 100 trials"
    assert lines[-1].startswith("profile  skipped")
    progress = lines[1:-2]
    assert 20 <= len(progress) <= 22
    assert progress[1] == (
        "search   6/100 · hypervolume 50.0% · best error 0.03 · front 7 · 2 failed"
        " · 6 s · 1:34 left"
    )


def test_time_left_of_a_resumed_run(clock: Clock) -> None:
    """By the rate since the resumption, not as if all had been done in this time."""
    console = Console(live()[0], clock=clock)
    console.record(Event("search", "start", 50, 100))
    for i in (51, 52, 53, 54):
        clock.now += 2
        console.record(Event("search", "progress", i, 100))
    assert "54/100" in shown(console)
    assert "1:32 left" in shown(console)
    clock.now += 2  # nothing has come, but time goes on
    assert "1:30 left" in shown(console)
    console.close()


def test_time_left_follows_recent_steps(clock: Clock) -> None:
    console = Console(live()[0], clock=clock)
    console.record(Event("search", "start", 0, 200))
    for i in range(1, 151):
        clock.now += 10 if i <= 100 else 1
        console.record(Event("search", "progress", i, 200))
    assert "50 s left" in shown(console)
    console.close()


def test_checklist_fits(clock: Clock) -> None:
    console = Console(live()[0], clock=clock)
    console.record(Event("space", "skip"))
    console.record(Event("search", "start", 0, 60))
    clock.now = 65
    figures = {"hypervolume": 0.425, "best": "error 0.031", "front": 7, "failed": 0, "pending": 2}
    console.record(Event("search", "progress", 30, 60, values=figures))
    lines = shown(console).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[1] for line in lines if line[0] != " "] == [
        "space", "search", "estimate", "profile", "export",
    ]  # fmt: skip
    text = "\n".join(lines)
    for figure in ("30/60", "1:05", "42.5%", "error 0.031", "front 7", "2 pending"):
        assert figure in text
    assert "failed" not in text
    console.close()


def test_a_stage_that_broke_is_marked(clock: Clock) -> None:
    terminal, out = live()
    console = Console(terminal, clock=clock)
    console.record(Event("search", "start", 0, 60))
    console.close()  # as a finally does on the way of an exception
    console.close()
    text = out.getvalue()
    assert "✗" in text
    hidden, given_back = "\x1b[?25l", "\x1b[?25h"
    assert text.count(hidden) == text.count(given_back) == 1
    assert text.rindex(given_back) > text.rindex(hidden)


def test_messages_are_no_markup(clock: Clock) -> None:
    for terminal, out in (plain(), live()):
        console = Console(terminal, clock=clock)
        console.record(Event("search", "say", message="limit [/] of [red]all"))
        console.close()
        assert "limit [/] of [red]all" in out.getvalue()


def test_other_stages_and_events_after_the_end(clock: Clock) -> None:
    terminal, out = live()
    console = Console(terminal, clock=clock)
    console.record(Event("deploy", "start"))
    console.record(Event("deploy", "progress", 3, 2))
    assert "deploy" in shown(console)
    console.close()
    console.record(Event("deploy", "end", message="served"))
    assert out.getvalue().rstrip().endswith("served")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
