"""The receiver's HTTP side: who may tell, what was told, and an answer before Harbor stops waiting."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deployments.receiver.events import Event, Ignored, Kind, Malformed, parse_event
from deployments.receiver.metrics import Metrics, Outcome
from deployments.receiver.readiness import Readiness
from deployments.receiver.redeploys import Follower, Redeploys, Result
from deployments.receiver.tokens import Tokens
from tasks.core.errors import Transient
from tasks.registry.following import follows
from tasks.registry.state import harbor_of

LARGEST_BODY = 256 * 1024
BODY_SECONDS = 2.0
ANSWER_SECONDS = 2.5
"""Harbor waits for three seconds, and tries three times in all."""
RETRY_AFTER_SECONDS = 15
MEDIA = ("application/json", "application/cloudevents+json")
STATUSES = {
    Outcome.STARTED: 202, Outcome.KNOWN: 202, Outcome.REPEATED: 202, Outcome.LEFT: 202, Outcome.IGNORED: 202,
    Outcome.MALFORMED: 400, Outcome.UNAUTHORIZED: 401, Outcome.TOO_LARGE: 413, Outcome.UNSUPPORTED: 415,
    Outcome.FAILED: 500, Outcome.UNAVAILABLE: 503, Outcome.LATE: 503,
}  # fmt: skip
NOT_TOLD = "see the receiver's log"
"""An error's text may name things that are nobody's business who only sends events."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What a delivery is answered, and for the log what it was about."""

    outcome: Outcome
    reason: str = ""
    results: tuple[Result, ...] = ()
    about: str = ""

    def response(self) -> Response:
        """As HTTP has it."""
        hubs = {result.hub: str(result.outcome) for result in self.results}
        content = {"outcome": str(self.outcome), "reason": self.reason, "hubs": hubs}
        status = STATUSES[self.outcome]
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
        return JSONResponse(content, status, headers)


class _Refused(Exception):
    """Ends the work on a delivery early."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(outcome, reason)
        self.answer = Answer(outcome, reason)


class Receiver:
    """Takes deliveries for these hubs."""

    def __init__(self, followers: Sequence[Follower], tokens: Tokens, redeploys: Redeploys, metrics: Metrics) -> None:
        self._followers = followers
        self._tokens = tokens
        self._redeploys = redeploys
        self._metrics = metrics

    async def deliver(self, request: Request) -> Response:
        """Answers one delivery, within Harbor's patience, and tells the log and the metrics how it ended."""
        begun = time.monotonic()
        answer = Answer(Outcome.FAILED, "an error of the receiver's own")
        try:
            answer = await self._answer(request, begun + ANSWER_SECONDS)
        except _Refused as refused:
            answer = refused.answer
        finally:
            self._metrics.delivered(answer.outcome, time.monotonic() - begun)
            hubs = ", ".join(f"{result.hub} {result.outcome}" for result in answer.results)
            log.info("%s: %s", answer.outcome, "; ".join(filter(None, (answer.about, answer.reason, hubs))))
        return answer.response()

    async def _answer(self, request: Request, deadline: float) -> Answer:
        allowed = await self._allowed(request)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in MEDIA:
            raise _Refused(Outcome.UNSUPPORTED, f"send {' or '.join(MEDIA)}")
        try:
            event = parse_event(await _read(request))
        except Malformed as error:
            raise _Refused(Outcome.MALFORMED, str(error)) from None
        if isinstance(event, Ignored):
            return Answer(Outcome.IGNORED, event.why)
        about = f"{event.kind} of {event.repository}:{event.tag}"
        followers = [one for one in self._followers if one.hub.name in allowed and _concerns(event, one)]
        if not followers:
            return Answer(Outcome.IGNORED, "no hub is deployed by it", about=about)
        results = await self._redeploys.handle(event, followers, deadline - time.monotonic())
        return _answer_of(results, about)

    async def _allowed(self, request: Request) -> frozenset[str]:
        """Names of the hubs that the sender may tell about: of no others does it hear anything."""
        # HTTP's headers are bytes, which Starlette tells as Latin-1.
        given = request.headers.get("authorization", "").encode("latin-1")
        try:
            allowed = await self._tokens.hubs_for(given) if given else frozenset[str]()
        except Transient as error:
            log.warning("%s", error)
            raise _Refused(Outcome.UNAVAILABLE, NOT_TOLD) from None
        if not allowed:
            raise _Refused(Outcome.UNAUTHORIZED, "the header Authorization is missing or wrong")
        return allowed


def make_app(
    followers: Sequence[Follower], tokens: Tokens, redeploys: Redeploys, metrics: Metrics, readiness: Readiness
) -> Starlette:
    """The whole receiver. When it ends, it waits a while for the work that goes on."""

    async def readyz(_request: Request) -> Response:
        reason = await readiness.reason()
        return PlainTextResponse(f"{reason or 'ok'}\n", 503 if reason else 200)

    async def show(_request: Request) -> Response:
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        await tokens.warm()
        yield
        await redeploys.close()

    routes = [
        Route("/harbor", Receiver(followers, tokens, redeploys, metrics).deliver, methods=["POST"]),
        Route("/healthz", _healthz),
        Route("/readyz", readyz),
        Route("/metrics", show),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _read(request: Request) -> bytes:
    """The body. Raises _Refused when it is too large, whether or not it said so, or does not come."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and len(announced) < 20 and int(announced) > LARGEST_BODY:
        raise _Refused(Outcome.TOO_LARGE, f"more than {LARGEST_BODY} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > LARGEST_BODY:
                    raise _Refused(Outcome.TOO_LARGE, f"more than {LARGEST_BODY} bytes")
    except (TimeoutError, ClientDisconnect):
        raise _Refused(Outcome.MALFORMED, "the body did not come whole") from None
    return bytes(body)


def _concerns(event: Event, follower: Follower) -> bool:
    """A push may be of an image that was scanned before; the end of a scan is nothing to a hub that awaits pushes."""
    if not follows(follower.hub, event.repository, event.tag):
        return False
    webhook = harbor_of(follower.hub).webhook
    return event.kind is Kind.PUSHED or (webhook is not None and webhook.deploy_on == "scan")


def _answer_of(results: tuple[Result, ...], about: str) -> Answer:
    """One for all hubs: whoever is to be tried again decides, since those that were done are not done twice."""
    outcomes = [result.outcome for result in results]
    worst = max(outcomes, key=list(Outcome).index)
    outcome = worst if STATUSES[worst] >= 500 else min(outcomes, key=list(Outcome).index)
    reason = (
        NOT_TOLD
        if STATUSES[outcome] >= 500
        else next((result.detail for result in results if result.outcome is outcome), "")
    )
    return Answer(outcome, reason, results, about)
