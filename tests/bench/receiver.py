"""What the receiver costs: its answers beside those of a bare Starlette route, and what floods of deliveries lead to.

``python -m tests.bench.receiver`` needs no sandbox: Harbor and Prefect answer at once, and what is left is ours.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.spec import Hub
from deployments.receiver.app import make_app
from deployments.receiver.metrics import Metrics
from deployments.receiver.readiness import Readiness
from deployments.receiver.redeploys import Follower, Redeploys
from deployments.receiver.tokens import Tokens, refs_of
from flows.redeploy import Started
from tasks.core.wait import wait_until
from tasks.registry.following import Followed
from tests.bench.report import Figure, show
from tests.harbors import NOW, hub_with

DELIVERIES, DUPLICATES, FORGED = 2000, 1000, 200
AT_ONCE = 16
WARM = 200
SECONDS = 30.0
"""Within this time a server starts, answers or ends."""
ANSWERED_MS = 1000.0
"""In this time 99 of a hundred deliveries are to be answered."""
UNBOUND = float("inf")
TOKEN = "Bearer of-the-benchmark"
DIGEST = f"sha256:{'0' * 64}"


@dataclass(frozen=True)
class Measured:
    """How deliveries were answered: milliseconds of each, seconds of all, and how many were taken."""

    latencies: Sequence[float]
    seconds: float
    taken: int

    def percentile(self, number: int) -> float:
        """So many of a hundred were answered in this many milliseconds."""
        return quantiles(self.latencies, n=100)[number - 1]

    @property
    def each(self) -> float:
        """Milliseconds of work for one delivery, as many at once as there were."""
        return self.seconds / len(self.latencies) * 1000


def receiver() -> Iterator[Figure]:
    """Pushes that each lead to a run, then floods that lead to one, and to none."""
    print(f"the receiver: {DELIVERIES} pushes, {DUPLICATES} duplicates, {FORGED} forgeries", flush=True)
    with served(_bare()) as port:
        deliver(port, range(-WARM, 0))
        bare, bare_flood = deliver(port, range(DELIVERIES)), deliver(port, [0] * DUPLICATES, at_once=DUPLICATES)
    runs: list[str] = []
    with served(_ours(runs)) as port:
        deliver(port, range(-WARM, 0))
        before = len(runs)
        ours, pushes = deliver(port, range(DELIVERIES)), len(runs) - before
        before = len(runs)
        flood, repeated = deliver(port, [DELIVERIES] * DUPLICATES, at_once=DUPLICATES), len(runs) - before
        forged = deliver(port, range(-FORGED, 0), token="Bearer forged")
    yield from _latencies(ours, bare)
    yield Figure(f"runs of {DELIVERIES} pushes", "", pushes, DELIVERIES, 1.0, pushes == DELIVERIES == ours.taken)
    yield Figure.ratio(f"{DUPLICATES} duplicates at once, each", "ms", flood.each, bare_flood.each, UNBOUND)
    yield Figure(f"runs of {DUPLICATES} duplicates", "", repeated, 1, 1.0, repeated == 1 and flood.taken == DUPLICATES)
    yield Figure(f"forgeries taken, of {FORGED}", "", forged.taken, 0, 0.0, forged.taken == 0)


def _latencies(ours: Measured, bare: Measured) -> Iterator[Figure]:
    for number in (50, 99):
        base = bare.percentile(number)
        bound = ANSWERED_MS / base if number == 99 else UNBOUND
        yield Figure.ratio(f"a delivery, percentile {number}", "ms", ours.percentile(number), base, bound)
    yield Figure.ratio(f"a delivery of {AT_ONCE} at once, each", "ms", ours.each, bare.each, UNBOUND)


def deliver(port: int, moments: Sequence[int], token: str = TOKEN, at_once: int = AT_ONCE) -> Measured:
    """Pushes at these moments are delivered, some at once."""
    return asyncio.run(_deliver(port, moments, token, at_once))


async def _deliver(port: int, moments: Sequence[int], token: str, at_once: int) -> Measured:
    queue = iter([_request(moment, token) for moment in moments])
    latencies: list[float] = []
    statuses: list[bytes] = []

    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in queue:
            begun = time.perf_counter()
            writer.write(request)
            statuses.append(await _status(reader))
            latencies.append((time.perf_counter() - begun) * 1000)
        writer.close()

    begun = time.perf_counter()
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*[send() for _ in range(at_once)])
    return Measured(latencies, time.perf_counter() - begun, statuses.count(b"202"))


def _request(moment: int, token: str) -> bytes:
    """By hand: what a whole HTTP client costs, in the same process, would hide what the server does."""
    body = json.dumps(_push(moment)).encode()
    head = f"POST /harbor HTTP/1.1\r\nHost: bench\r\nAuthorization: {token}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _status(reader: asyncio.StreamReader) -> bytes:
    """Of an answer, which is read to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    await reader.readexactly(int(length[1]) if length else 0)
    return head.split(b" ", 2)[1]


def _push(moment: int) -> dict[str, Any]:
    reference = "registry.example.com/iav/tools/base-notebook:v1"
    image = {"digest": DIGEST, "tag": "v1", "resource_url": reference}
    repository = {"name": "base-notebook", "namespace": "iav", "repo_full_name": "iav/tools/base-notebook"}
    data = {"resources": [image], "repository": repository}
    return {"type": "PUSH_ARTIFACT", "occur_at": moment, "operator": "robot$iav+builder", "event_data": data}


def _ours(runs: list[str]) -> Starlette:
    """The receiver, for which every push is a new one."""
    webhook = {"url": "https://hooks.example.internal/harbor", "authorization": {"env": "NONE"}}
    hub = hub_with(webhook=webhook)

    def start(hub: Hub, _profile: str, _followed: Followed) -> Started:
        runs.append(hub.name)
        return Started(f"run-{len(runs)}", "", made=True)

    metrics = Metrics()
    tokens = Tokens({hub.name: refs_of(hub)}, lambda _ref: SecretStr(TOKEN))
    redeploys = Redeploys(lambda _hub: Followed(DIGEST, NOW), start, metrics)
    return make_app([Follower("lab", hub)], tokens, redeploys, metrics, Readiness(lambda: ""))


def _bare() -> Starlette:
    async def nothing(_request: Request) -> Response:
        return Response(status_code=202)

    route: Callable[[Request], Awaitable[Response]] = nothing
    return Starlette(routes=[Route("/harbor", route, methods=["POST"])])


@contextmanager
def served(app: Starlette) -> Generator[int]:
    """The port of a server of this process."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, backlog=DUPLICATES * 2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until("uvicorn", "start", lambda: "" if server.started else "not yet", seconds=SECONDS, remedy="", every=0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(SECONDS)


def main() -> int:
    """Returns 0 when every target is met. What the receiver logs is written, and goes nowhere."""
    with Path(os.devnull).open("w") as nowhere:
        logging.basicConfig(level=logging.INFO, stream=nowhere)
        return show(list(receiver()))


if __name__ == "__main__":
    sys.exit(main())
