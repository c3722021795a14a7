"""Waiting on a condition, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tasks.core.errors import Permanent, Transient

POLL_SECONDS = 0.1
PATIENT_SECONDS = 60.0
"""Longer than a server takes that is being restarted."""
ASK_AGAIN_SECONDS = 2.0

T = TypeVar("T")


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


def ask_patiently(
    ask: Callable[[], T],
    say: Callable[[str], None],
    *,
    seconds: float = PATIENT_SECONDS,
    every: float = ASK_AGAIN_SECONDS,
) -> T:
    """What ``ask`` answers; it is asked again while it raises Transient. For questions only: it may be asked often.

    It is left alone for as long as it asks to be. Raises Permanent with the last answer when ``seconds`` passed, or
    will have passed by then; ``say`` hears what it waits for.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except Transient as error:
            pause = max(every, error.retry_after)
            if time.monotonic() + pause > deadline:
                answered = f"not within {seconds:g} s: {error.answered}"
                raise Permanent(error.system, error.asked, answered, error.remedy) from error
            say(f"waiting for {error.system}: {error.answered}")
        time.sleep(pause)


def parse_retry_after(header: str | None) -> float:
    """How many seconds an answer asks to be left alone (Retry-After, RFC 9110, 10.2.3); 0 where it does not say."""
    if not header:
        return 0.0
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # no date, or one without a time zone
        return 0.0
