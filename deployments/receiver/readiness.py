"""Whether events can lead to runs: asked every few seconds at most, however often somebody wants to know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

GOOD_SECONDS = 5.0
ASK_SECONDS = 3.0


class Readiness:
    """``why_not`` says why it is not ready, "" when it is; it may block."""

    def __init__(self, why_not: Callable[[], str], clock: Callable[[], float] = time.monotonic) -> None:
        self._why_not = why_not
        self._clock = clock
        self._seen = ""
        self._seen_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def reason(self) -> str:
        """Why it is not ready, as of some seconds ago."""
        if self._clock() - self._seen_at >= GOOD_SECONDS:
            self._asking = self._asking or asyncio.create_task(self._ask())
            done, _ = await asyncio.wait({self._asking}, timeout=ASK_SECONDS)
            if not done:
                return f"no answer within {ASK_SECONDS:g} s"
        return self._seen

    async def _ask(self) -> None:
        try:
            self._seen = await asyncio.to_thread(self._why_not)
            self._seen_at = self._clock()
        finally:
            self._asking = None
