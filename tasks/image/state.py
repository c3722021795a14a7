"""What can be seen of a container engine, and of a build that goes on in it."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

LAST_LINES = 15
LAST_STEPS = 40
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


@dataclass(frozen=True)
class _Heard:
    """A step, and its last lines; lines before the first step have none."""

    step: Step | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))

    @property
    def words(self) -> str:
        title = [f"at {self.step.what}"] if self.step else []
        return "\n    ".join([*title, *self.lines])


@dataclass
class BuildLog:
    """What a build says, step by step."""

    _heard: deque[_Heard] = field(default_factory=lambda: deque([_Heard()], maxlen=LAST_STEPS))

    def hear(self, line: str) -> Step | None:
        """The step that a line begins; None when it goes on with the one before."""
        begun = parse_step(line)
        if begun:
            self._heard.append(_Heard(begun))
        else:
            self._heard[-1].lines.append(line)
        return begun

    @property
    def last_words(self) -> str:
        """The last lines of the present step, under its name."""
        return self._heard[-1].words

    def words_of(self, said: str) -> str:
        """The last lines of the step that failed, as the engine names it; where it names none, of the present one.

        Podman begins other stages before it tells that one failed.
        """
        named = [one for one in self._heard if one.step and f'STEP "{one.step.what}"' in said]
        spoken = [one for one in named if one.lines]
        return (spoken or named or self._heard)[-1].words


def parse_step(line: str) -> Step | None:
    """The step that a line of Podman's (4.3) or of Docker's begins; None for any other line."""
    match = _PODMAN_STEP.match(line) or _DOCKER_STEP.match(line)
    if match is None:
        return None
    words = match.groupdict()
    inner = (int(words["step"]) - 1) / int(words["steps"])
    stage, stages = int(words.get("stage") or 1), int(words.get("stages") or 1)
    return Step(words["what"], (stage - 1 + inner) / stages)
