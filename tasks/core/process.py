"""The only place that starts a subprocess and waits for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tasks.core.errors import Permanent, Transient

LAST_LINES = 15
TICK_SECONDS = 1
DRAIN_SECONDS = 5
GRACE_SECONDS = 10
TIED = ("setpriv", "--pdeathsig", "TERM", "--")
"""What comes after these is asked to end when we are killed: else Helm would go on while the next run takes over.
A machine without setpriv (util-linux; every Debian has it) goes without."""


@dataclass(frozen=True)
class Output:
    """What a command that ended with exit code 0 wrote."""

    stdout: str
    stderr: str


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    remedy: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    on_line: Callable[[str], None] = lambda _line: None,
    on_tick: Callable[[], None] = lambda: None,
) -> Output:
    """Run a command to its end and return what it wrote.

    ``timeout`` is in seconds; ``env`` replaces the whole environment. ``on_line`` gets each line of both
    streams as it comes; ``on_tick`` is called about once a second, and what it raises ends the command.
    Raises Permanent for a command that is missing or fails (with its last lines and ``remedy``), Transient
    for one that did not end in time. Secrets go in by ``stdin`` or a file, never by ``argv``, which every
    user of the machine can read.
    """
    name = Path(argv[0]).name
    asked = " ".join(str(word) for word in argv)
    try:
        child = subprocess.Popen(
            [*_tie(str(argv[0]), env), *map(str, argv)],
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise Permanent(name, asked, f"cannot be started ({error.strerror})", remedy) from error
    try:
        output = _communicate(child, stdin, timeout, on_line, on_tick)
    except subprocess.TimeoutExpired as error:
        raise Transient(name, asked, f"did not end within {timeout:g} s and was stopped", remedy) from error
    finally:
        _end(child)
    if child.returncode != 0:
        said = (output.stderr.strip() or output.stdout.strip()).splitlines()[-LAST_LINES:]
        answered = f"exit code {child.returncode}: " + ("\n    ".join(said) or "no output")
        raise Permanent(name, asked, answered, remedy)
    return output


def _tie(command: str, env: Mapping[str, str] | None) -> tuple[str, ...]:
    """Nothing for a command that is not there, since setpriv would hide that."""
    tie, path = shutil.which(TIED[0]), (os.environ if env is None else env).get("PATH")
    return (tie, *TIED[1:]) if tie and shutil.which(command, path=path) else ()


def _end(child: subprocess.Popen[str]) -> None:
    """Ask a child that still runs to end, so that it can tidy up (Helm then marks its revision failed), or make it."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _communicate(
    child: subprocess.Popen[str],
    stdin: str | None,
    timeout: float,
    on_line: Callable[[str], None],
    on_tick: Callable[[], None],
) -> Output:
    """Feed a child and read both its streams until it ends; TimeoutExpired when it does not in time."""
    assert child.stdout
    assert child.stderr
    lines: tuple[deque[str], deque[str]] = (deque(), deque())
    readers = [
        threading.Thread(target=_drain, args=(stream, kept, on_line), daemon=True)
        for stream, kept in zip((child.stdout, child.stderr), lines, strict=True)
    ]
    for reader in readers:
        reader.start()
    if child.stdin:
        # A thread of its own: a child that does not read would hold us here beyond its time.
        threading.Thread(target=_feed, args=(child.stdin, stdin or ""), daemon=True).start()
    deadline = time.monotonic() + timeout
    while True:
        try:
            child.wait(min(TICK_SECONDS, max(deadline - time.monotonic(), 0)))
            break
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                raise
            on_tick()
    for reader in readers:
        # A daemon that the child left behind may hold the streams open: what was said by now is what counts.
        reader.join(DRAIN_SECONDS)
    return Output("".join(lines[0]), "".join(lines[1]))


def _feed(stream: IO[str], text: str) -> None:
    # A child may end, or be ended, before it has read everything; how it ended is what counts.
    with suppress(BrokenPipeError), stream:
        stream.write(text)


def _drain(stream: IO[str], kept: deque[str], on_line: Callable[[str], None]) -> None:
    for line in stream:
        kept.append(line)
        on_line(line.rstrip())
