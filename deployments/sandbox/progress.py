"""Named steps with the time that they take: live in a terminal, lines in a log. Steps may run side by side."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

REFRESHES_PER_SECOND = 4
QUIET_SECONDS = 15.0
"""A log gets one line about a step's waiting in this time at most."""


@dataclass
class Step:
    """One step that runs: ``waiting`` says what it waits for."""

    name: str
    steps: Steps
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    _waits_for: str = ""
    _said: float = 0.0

    def waiting(self, what: str) -> None:
        """Shows what the step waits for, or does, at the moment."""
        self._waits_for = what
        now = time.monotonic()
        if not self.steps.live and now - max(self._said, self.started) > QUIET_SECONDS:
            self._said = now
            self.steps.say(f"{self.name}: {what}", self)

    def line(self) -> RenderableType:
        """The step as a terminal shows it while it runs."""
        text = f"{escape(self.name)} [dim]{_clock(time.monotonic() - self.started)} {escape(self._waits_for[:90])}[/]"
        return Spinner("dots", text)


class Steps:
    """Shows steps on a console, and keeps how long each took. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._running: list[Step] = []
        self._done: list[Step] = []
        self._began = time.monotonic()
        self._live = Live(
            console=console, get_renderable=self._render, refresh_per_second=REFRESHES_PER_SECOND, transient=True
        )
        self.live = console.is_terminal

    def __enter__(self) -> Steps:
        if self.live:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self.live:
            self._live.stop()

    @contextmanager
    def step(self, name: str) -> Generator[Step, None, None]:
        """A step that is done when the block ends, and failed when it raises."""
        step = Step(name, self)
        with self._lock:
            self._running.append(step)
        word = "[red]failed[/]"
        try:
            yield step
            word = "[green]done[/]"
        finally:
            step.seconds = time.monotonic() - step.started
            with self._lock:
                self._running.remove(step)
                self._done.append(step)
            self._console.print(f"{_clock(self.elapsed)}  {escape(name):<28} {word} [dim]{step.seconds:6.1f} s[/]")

    @property
    def elapsed(self) -> float:
        """Seconds since the first step."""
        return time.monotonic() - self._began

    def say(self, text: str, step: Step | None = None) -> None:
        """One line between the steps."""
        since = f" ({_clock(time.monotonic() - step.started)})" if step else ""
        self._console.print(f"{_clock(self.elapsed)}  [dim]{escape(text)}{since}[/]")

    def table(self, at_least: float = 1.0) -> Table:
        """Where the time went: the steps that took ``at_least`` seconds, longest first."""
        table = Table("step", "seconds", title=f"{self.elapsed:.0f} s in all; steps run side by side")
        table.columns[1].justify = "right"
        for step in sorted(self._done, key=lambda done: -done.seconds):
            if step.seconds >= at_least:
                table.add_row(escape(step.name), f"{step.seconds:.1f}")
        return table

    def _render(self) -> RenderableType:
        with self._lock:
            return Group(*(step.line() for step in self._running))


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:2d}:{int(seconds) % 60:02d}"
