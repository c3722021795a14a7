"""What can be seen of a container engine, and of a build that goes on in it."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

LAST_LINES = 15
_PODMAN_STEP = re.compile(r"^(?:\[(?P<stage>\d+)/(?P<stages>\d+)\] )?STEP (?P<step>\d+)/(?P<steps>\d+): (?P<what>.*)$")
_DOCKER_STEP = re.compile(r"^Step (?P<step>\d+)/(?P<steps>\d+) : (?P<what>.*)$")


class Readable(Protocol):
    """What can be read once, from its beginning to its end."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to so many bytes; fewer only at the end."""
        ...


@dataclass(frozen=True)
class SeenEngine:
    """An engine that answered. ``free_bytes`` is None where it does not tell how much disk it has left."""

    name: str
    version: str
    storage: str
    free_bytes: int | None = None


@dataclass(frozen=True)
class Step:
    """One instruction of a Containerfile that is at work; ``part`` of 1 is done when it begins."""

    what: str
    part: float


@dataclass
class BuildLog:
    """What a build says, step by step; ``last_words`` are the present step's own."""

    step: Step | None = None
    _lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))

    def hear(self, line: str) -> Step | None:
        """The step that a line begins; None when it goes on with the one before."""
        begun = parse_step(line)
        if begun is None:
            self._lines.append(line)
            return None
        self._lines.clear()
        self.step = begun
        return begun

    @property
    def last_words(self) -> str:
        """The last lines of the present step, under its name."""
        title = [f"at {self.step.what}"] if self.step else []
        return "\n    ".join([*title, *self._lines])


def parse_step(line: str) -> Step | None:
    """The step that a line of Podman's (4.3) or of Docker's begins; None for any other line."""
    match = _PODMAN_STEP.match(line) or _DOCKER_STEP.match(line)
    if match is None:
        return None
    words = match.groupdict()
    inner = (int(words["step"]) - 1) / int(words["steps"])
    stage, stages = int(words.get("stage") or 1), int(words.get("stages") or 1)
    return Step(words["what"], (stage - 1 + inner) / stages)
