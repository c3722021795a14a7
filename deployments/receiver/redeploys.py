"""From an event to a run: Harbor is asked what the tag stands for, and Prefect for the run, once for the same event."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from config.spec import Hub
from deployments.receiver.events import Event
from deployments.receiver.metrics import Metrics, Outcome
from flows.redeploy import Started
from tasks.core.errors import HubError, Transient
from tasks.registry.following import Followed, why_not

AT_ONCE = 8
"""So many hubs at once are asked about; others wait their turn."""
MOST_WAITING = 512
MOST_REMEMBERED = 4096
REMEMBERED_SECONDS = 600.0
"""Harbor's last attempt comes within four minutes."""
END_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Follower:
    """A hub that follows a tag, and its profile's name."""

    profile: str
    hub: Hub


@dataclass(frozen=True)
class Result:
    """What came of an event for one hub."""

    hub: str
    outcome: Outcome
    detail: str


Read = Callable[[Hub], Followed | None]
"""What the hub's tag stands for, None where it is not there. It blocks, and raises HubError."""
Start = Callable[[Hub, str, Followed], Started]
"""The run that deploys it, by the profile's name. It blocks, and raises HubError."""


class Redeploys:
    """Work on events. The same event is worked on once at a time for a hub, and once for all when it led to a run.

    What this remembers only saves asking: that a push makes one run holds without, also beside other receivers.
    """

    def __init__(self, read: Read, start: Start, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._start = start
        self._metrics = metrics
        self._clock = clock
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="redeploy")
        self._flights: dict[tuple[str, Event], asyncio.Task[Result]] = {}
        self._memory: OrderedDict[tuple[str, Event], tuple[float, Result]] = OrderedDict()

    async def handle(self, event: Event, followers: Sequence[Follower], seconds: float) -> tuple[Result, ...]:
        """What came of the event for each hub within this time. Work that takes longer goes on."""
        flights = [self._remembered(event, follower) or self._flight(event, follower) for follower in followers]
        tasks = [flight for flight in flights if isinstance(flight, asyncio.Task)]
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, seconds))
        return tuple(map(_result, flights))

    async def close(self) -> None:
        """What is being worked on has ended, or had its time to."""
        if self._flights:
            await asyncio.wait(self._flights.values(), timeout=END_SECONDS)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _remembered(self, event: Event, follower: Follower) -> Result | None:
        until, result = self._memory.get((follower.hub.name, event), (0.0, None))
        return replace(result, outcome=Outcome.REPEATED) if result and self._clock() < until else None

    def _flight(self, event: Event, follower: Follower) -> asyncio.Task[Result] | Result:
        """The work on an event for a hub, begun unless it is under way; a result at once where there is too much."""
        key = (follower.hub.name, event)
        if key in self._flights:
            return self._flights[key]
        if len(self._flights) >= MOST_WAITING:
            return Result(follower.hub.name, Outcome.UNAVAILABLE, "too much is being worked on")
        task = asyncio.create_task(self._work(follower), name=follower.hub.name)
        self._flights[key] = task
        task.add_done_callback(lambda ended: self._landed(key, ended))
        return task

    def _landed(self, key: tuple[str, Event], task: asyncio.Task[Result]) -> None:
        del self._flights[key]
        if task.cancelled():
            return
        if error := task.exception():
            log.error("hub %s: the work on an event broke off", key[0], exc_info=error)
            return
        result = task.result()
        if result.outcome is Outcome.STARTED:
            self._metrics.started(result.hub)
        if result.outcome in (Outcome.STARTED, Outcome.KNOWN):
            self._memory[key] = (self._clock() + REMEMBERED_SECONDS, result)
            while len(self._memory) > MOST_REMEMBERED:
                self._memory.popitem(last=False)

    async def _work(self, follower: Follower) -> Result:
        # Settings of Prefect's are a context's, which a thread has none of by itself.
        context, loop = copy_context(), asyncio.get_running_loop()
        result = await loop.run_in_executor(self._threads, lambda: context.run(self._redeploy, follower))
        if result.outcome in (Outcome.FAILED, Outcome.UNAVAILABLE):
            log.warning("hub %s: %s: %s", result.hub, result.outcome, result.detail)
        elif result.outcome is Outcome.STARTED:
            log.info("hub %s: %s: %s", result.hub, result.outcome, result.detail)
        return result

    def _redeploy(self, follower: Follower) -> Result:
        hub = follower.hub
        try:
            followed = self._read(hub)
            if followed is None:
                return Result(hub.name, Outcome.LEFT, f"Harbor does not have {hub.image.reference}")
            if reason := why_not(hub, followed, datetime.now(UTC).date()):
                return Result(hub.name, Outcome.LEFT, f"{followed.digest}: {reason}")
            started = self._start(hub, follower.profile, followed)
        except Transient as error:
            return Result(hub.name, Outcome.UNAVAILABLE, str(error))
        except HubError as error:
            return Result(hub.name, Outcome.FAILED, str(error))
        outcome = Outcome.STARTED if started.made else Outcome.KNOWN
        return Result(hub.name, outcome, f"{followed.digest}: {started.url or started.run}")


def _result(flight: asyncio.Task[Result] | Result) -> Result:
    if isinstance(flight, Result):
        return flight
    return flight.result() if flight.done() else Result(flight.get_name(), Outcome.LATE, "it is being worked on")
