"""One request to Harbor: by whom it is made, and whether they may."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
from starlette.requests import Request
from starlette.responses import Response

from deployments.sandbox.harbor.answers import Refusal
from deployments.sandbox.harbor.rights import Caller, may
from deployments.sandbox.harbor.store import Row, Store

ADMIN = "admin"
ROBOT_PREFIX = "robot$"
NEVER = -1
SETTINGS: dict[str, Any] = {
    "read_only": False,
    "scanner": True,
    "scan_seconds": 1.0,
    "scan_ends": "Success",
    "retry_scale": 0.01,
    "token_seconds": 1800,
    "storage_per_project": NEVER,
    "creation": "everyone",
}
"""What a test may set. ``scan_ends`` is Success, Error or never; ``retry_scale`` shortens Harbor's own delays."""


@dataclass
class Harbor:
    """What every request needs: the rows, the registry behind, receivers outside, and what goes on meanwhile."""

    store: Store
    upstream: httpx.AsyncClient
    outside: httpx.AsyncClient
    host: str
    results: Path
    password: str
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    uploads: dict[str, int] = field(default_factory=dict[str, int])
    faults: list[Row] = field(default_factory=list[Row])
    seen: list[Row] = field(default_factory=list[Row])
    _running: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def setting(self, name: str) -> Any:
        """What a test set, or else the default."""
        return (self.store.one("settings") or {}).get(name, SETTINGS[name])

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """The work goes on after the answer; what it changed is saved when it ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self.store.save()
        if not task.cancelled() and (error := task.exception()):
            raise error

    def may(self, caller: Caller, pair: tuple[str, str], project: Row | None) -> bool:
        """Whether somebody may do something in a project, or without one in the system."""
        member = project and caller.user and self.store.one("members", project_id=project["id"], user=caller.name)
        return may(caller, pair, project, [member["role_id"]] if member else [])


@dataclass(frozen=True)
class Ask:
    """A request with what is known about it."""

    harbor: Harbor
    request: Request
    caller: Caller
    body: Any = None

    @property
    def store(self) -> Store:
        """Harbor's rows."""
        return self.harbor.store

    @property
    def by(self) -> tuple[str, str]:
        """Who asks, and in which request."""
        return self.caller.name, str(self.request.scope["request_id"])

    def path(self, name: str) -> str:
        """A part of the path; a repository's name is escaped twice."""
        return unquote(str(self.request.path_params[name]))

    def number(self, name: str) -> int:
        """A part of the path that is a number. Raises Refusal when it is none."""
        text = self.path(name)
        if not text.isdigit():
            raise Refusal("UNPROCESSABLE_ENTITY", f"{name} in path must be of type int64: {text!r}")
        return int(text)

    def flag(self, name: str) -> bool:
        """Whether the query says ``true``."""
        return self.request.query_params.get(name, "false") == "true"

    def document(self) -> Row:
        """The body, which is an object. Raises Refusal when it is not."""
        if not isinstance(self.body, dict):
            raise Refusal("UNPROCESSABLE_ENTITY", "body in body is required")
        return self.body

    def project(self, pair: tuple[str, str]) -> Row:
        """The project that the path names, when the caller may do this in it. Else raises Refusal."""
        name = self.path("project")
        is_name = not name.isdigit() or self.request.headers.get("X-Is-Resource-Name") == "true"
        found = self.store.one("projects", **({"name": name} if is_name else {"id": int(name)}))
        self.require(pair, found)
        if found is None:
            raise Refusal("NOT_FOUND", f"project {name} not found")
        return found

    def require(self, pair: tuple[str, str], project: Row | None) -> None:
        """Raises Refusal when the caller may not do this. One who may not hears nothing of what there is."""
        if self.harbor.may(self.caller, pair, project):
            return
        self.require_somebody()
        raise Refusal("FORBIDDEN", "forbidden")

    def require_somebody(self) -> None:
        """Raises Refusal when nobody in particular asks."""
        if not self.caller.name:
            raise Refusal("UNAUTHORIZED", "unauthorized")


Handler = Callable[[Ask], Awaitable[Response]]
Routes = list[tuple[str, str, Handler]]
"""Method, path and what answers."""


def hashed(secret: str, salt: str) -> str:
    """A secret as Harbor keeps it."""
    return hashlib.sha256((salt + secret).encode()).hexdigest()


def caller_of(harbor: Harbor, request: Request) -> Caller:
    """Who makes a request. A wrong password, an expired robot and an invalid token are nobody in particular."""
    kind, _space, text = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and request.url.path.startswith("/v2"):
        return _bearer(harbor, text)
    if kind.lower() != "basic":
        return Caller()
    try:
        name, _colon, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return Caller()
    if name.startswith(ROBOT_PREFIX):
        return _robot(harbor.store, name, secret)
    if name == ADMIN:
        return Caller(ADMIN, admin=True) if hmac.compare_digest(secret, harbor.password) else Caller()
    user = harbor.store.one("users", username=name)
    return Caller(name, user=user) if user and _fits(user, secret) else Caller()


def _robot(store: Store, name: str, secret: str) -> Caller:
    robot = store.one("robots", name=name)
    if robot is None or robot["disable"] or is_expired(robot) or not _fits(robot, secret):
        return Caller()
    return Caller(name, robot=robot)


def is_expired(robot: Row) -> bool:
    """Whether a robot's time is over."""
    return robot["expires_at"] != NEVER and robot["expires_at"] <= time.time()


def _fits(row: Row, secret: str) -> bool:
    return hmac.compare_digest(row["hash"], hashed(secret, row["salt"]))


def issue_token(harbor: Harbor, caller: Caller, scopes: dict[str, list[str]]) -> str:
    """A registry token that grants the scopes to the caller, for a while."""
    claims = {"name": caller.name, "scopes": scopes, "iat": time.time()}
    text = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()
    return f"{text}.{_signature(harbor, text)}"


def _signature(harbor: Harbor, text: str) -> str:
    return hmac.new(harbor.key, text.encode(), hashlib.sha256).hexdigest()


def _bearer(harbor: Harbor, token: str) -> Caller:
    text, _dot, signature = token.partition(".")
    if not hmac.compare_digest(signature, _signature(harbor, text)):
        return Caller()
    claims = json.loads(base64.urlsafe_b64decode(text))
    if claims["iat"] + harbor.setting("token_seconds") < time.time():
        return Caller()
    return Caller(claims["name"], scopes=claims["scopes"])
