"""Waiting on a condition, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable

from tasks.core.errors import Permanent

POLL_SECONDS = 0.1


def wait_until(
    system: str,
    asked: str,
    missing: Callable[[], str],
    *,
    seconds: float,
    remedy: str,
    say: Callable[[str], None] = lambda _missing: None,
    every: float = POLL_SECONDS,
) -> None:
    """``missing`` found nothing missing any more (it answers what is, or "" when nothing is).

    Raises Permanent with what was missing last when ``seconds`` passed before; ``say`` hears each answer.
    It is asked again after ``every`` seconds.
    """
    deadline = time.monotonic() + seconds
    while reason := missing():
        say(reason)
        if time.monotonic() > deadline:
            raise Permanent(system, asked, f"not within {seconds:g} s: {reason}", remedy)
        time.sleep(every)
