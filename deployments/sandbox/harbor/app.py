"""Harbor as an application: every route, and what happens to each request before and after."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from deployments.sandbox.harbor import artifacts, distribution, door, projects, retention, robots, scans, webhooks
from deployments.sandbox.harbor.answers import Refusal, answer, error_answer, refuse
from deployments.sandbox.harbor.asks import Ask, Handler, Harbor, Routes, caller_of
from deployments.sandbox.harbor.store import now

API = "/api/v2.0"
RELEASE = "v2.15.2-standin"
SAFE = ("GET", "HEAD", "OPTIONS")
COMPONENTS = ("core", "database", "jobservice", "portal", "redis", "registry", "registryctl")
READ_ONLY = "The system is in read only mode. Any modification is prohibited."


def make_app(harbor: Harbor) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The application that serves one Harbor."""
    api = [*_ABOUT, *projects.ROUTES, *robots.ROUTES, *artifacts.ROUTES, *scans.ROUTES, *retention.ROUTES]
    others = [*distribution.ROUTES, *door.ROUTES]
    paths = [(method, API + path, handler) for method, path, handler in (*api, *webhooks.ROUTES)]
    routes = [_route(harbor, *entry) for entry in (*paths, *others)]
    registry = [Route("/v2/{path:path}", _endpoint(harbor, distribution.serve), methods=[*SAFE, *_WRITES])]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        scans.resume(harbor)
        webhooks.resume(harbor)
        yield

    handlers = {HTTPException: _no_route}
    return Front(harbor, Starlette(routes=[*routes, *registry], exception_handlers=handlers, lifespan=lifespan))


_WRITES = ("POST", "PUT", "PATCH", "DELETE")


def _route(harbor: Harbor, method: str, path: str, handler: Handler) -> Route:
    route = Route(path, _endpoint(harbor, handler), methods=[method])
    route.methods = {method}  # Starlette would answer HEAD wherever it answers GET
    return route


def _endpoint(harbor: Harbor, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """What answers a request of a route: the handler's answer or its refusal."""

    async def endpoint(request: Request) -> Response:
        caller = caller_of(harbor, request)
        request.scope["caller"] = caller.name
        try:
            if request.url.path.startswith("/test/") and not caller.admin:
                raise Refusal("FORBIDDEN" if caller.name else "UNAUTHORIZED", "for the administrator's tests only")
            body = None if request.url.path.startswith("/v2/") else await _body(request)
            return await handler(Ask(harbor, request, caller, body))
        except Refusal as refusal:
            return refuse(refusal)
        except httpx.HTTPError as error:
            print(f"{request.method} {request.url.path}: {error!r}", flush=True)
            return error_answer(500, "UNKNOWN", "")

    return endpoint


async def _body(request: Request) -> object:
    text = await request.body()
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        raise Refusal("BAD_REQUEST", f'parsing body body from "" failed, because {error}') from error


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(status, "UNKNOWN")
    return error_answer(status, code, f"path {request.url.path} was not found")


class Front:
    """Before every request: its id, a fault that a test wants, read-only mode, the session's check. After: saving."""

    def __init__(self, harbor: Harbor, app: Starlette) -> None:
        self._harbor = harbor
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        scope["request_id"] = request.headers.get("X-Request-Id") or str(uuid.uuid4())
        arrived = time.time()

        async def told(message: Message) -> None:
            """Whoever has the answer finds everything saved."""
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_always(request)]
                door.remember(self._harbor, request, arrived, message["status"])
                if request.method not in SAFE:
                    self._harbor.store.save()
            await send(message)

        await self._serve(request, receive, told)

    async def _serve(self, request: Request, receive: Receive, send: Send) -> None:
        fault = door.fault_for(self._harbor, request)
        if fault:
            await asyncio.sleep(fault["delay"])
        cut = fault and fault["cut"]
        refused = door.fault_answer(fault) if fault and fault["status"] else self._refused(request)
        if cut or refused:
            async for _piece in Request(request.scope, receive).stream():
                pass  # a client that still sends would not read the answer
        if cut:
            # Less than was announced: the server closes the connection, as a broken network would.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
            await send({"type": "http.response.body", "body": b"{"})
            return
        await (refused or self._app)(request.scope, receive, send)

    def _refused(self, request: Request) -> Response | None:
        path = request.url.path
        if request.method in SAFE or path.startswith("/test/"):
            return None
        if self._harbor.setting("read_only"):
            return refuse(Refusal("DENIED", READ_ONLY))
        if "sid" in request.cookies and "X-Harbor-CSRF-Token" not in request.headers:
            return refuse(Refusal("FORBIDDEN", "CSRF token not found in request"))
        return None


def _always(request: Request) -> list[tuple[bytes, bytes]]:
    """Headers of every answer: a client that keeps the cookie has a session, which Harbor asks a token of."""
    headers = [(b"x-request-id", str(request.scope["request_id"]).encode())]
    if request.url.path.startswith("/api/") and "sid" not in request.cookies:
        headers.append((b"set-cookie", f"sid={uuid.uuid4().hex}; Path=/; HttpOnly".encode()))
    return headers


async def _ping(_ask: Ask) -> Response:
    return PlainTextResponse("Pong")


async def _health(ask: Ask) -> Response:
    names = sorted((*COMPONENTS, *(("trivy",) if ask.harbor.setting("scanner") else ())))
    return answer({"status": "healthy", "components": [{"name": name, "status": "healthy"} for name in names]})


async def _systeminfo(ask: Ask) -> Response:
    about = {"auth_mode": "db_auth", "primary_auth_mode": False, "self_registration": False, "banner_message": ""}
    if not ask.caller.name:
        return answer(about)
    more = {
        "harbor_version": RELEASE, "external_url": f"https://{ask.harbor.host}", "registry_url": ask.harbor.host,
        "read_only": ask.harbor.setting("read_only"), "notification_enable": True, "current_time": now(),
        "has_ca_root": False, "project_creation_restriction": ask.harbor.setting("creation"),
        "registry_storage_provider_name": "filesystem",
    }  # fmt: skip
    return answer(about | more)


_ABOUT: Routes = [("GET", "/ping", _ping), ("GET", "/health", _health), ("GET", "/systeminfo", _systeminfo)]
