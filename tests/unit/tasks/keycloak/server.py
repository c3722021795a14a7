"""Keycloak at the seam of the library's connections: answers as Keycloak 26.7 gives them, and what was asked."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from pydantic import SecretStr

from config.identity import KeycloakIdentity
from tasks.keycloak.client import Keycloak
from tasks.keycloak.connection import ConnectTo

IDENTITY = KeycloakIdentity.model_validate(
    {
        "kind": "keycloak",
        "issuer": "https://id.test/realms/x",
        "deployer": {"client_id": "deployer", "client_secret": {"env": "S"}},
        "roles": {"user": {}},
    }
)
SECRET = SecretStr("hunter2")
ADMIN = "/admin/realms/x"
TOKEN = "/realms/x/protocol/openid-connect/token"


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: Any
    headers: Any = field(repr=False)


@dataclass
class Server:
    """What answers: for a method and path a response, an error, or a list of them of which each is given once."""

    answers: dict[tuple[str, str], Any]
    asked: list[Asked] = field(default_factory=list[Asked])

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        url = urlsplit(request.url or "")
        text = request.body.decode() if isinstance(request.body, bytes) else request.body or ""
        is_form = "urlencoded" in str(request.headers.get("Content-Type"))
        body = parse_qs(text) if is_form else json.loads(text or "null")
        method = str(request.method)
        self.asked.append(Asked(method, url.path, parse_qs(url.query, keep_blank_values=True), body, request.headers))
        answer = self.answers[method, url.path]
        answer = answer.pop(0) if isinstance(answer, list) else answer
        if isinstance(answer, Exception):
            raise answer
        answer.request, answer.url = request, str(request.url)
        return answer

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Requests that change something."""
        return [(one.method, one.path) for one in self.asked if one.method != "GET" and one.path != TOKEN]


def answer(status: int, document: Any = None, *, text: str | None = None, **headers: str) -> requests.Response:
    found = requests.Response()
    found.status_code = status
    found._content = (text if text is not None else "" if document is None else json.dumps(document)).encode()
    found.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return found


def token(**claims: Any) -> requests.Response:
    """An access token, which nobody here verifies."""
    parts = ({"alg": "RS256"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return answer(200, {"access_token": ".".join([*encoded, "c2ln"]), "expires_in": 300, "token_type": "Bearer"})


def roles(*names: str) -> dict[str, Any]:
    """The claim of a token with these roles of realm-management."""
    return {"resource_access": {"realm-management": {"roles": list(names)}}}


def serve(monkeypatch: pytest.MonkeyPatch, answers: dict[tuple[str, str], Any]) -> Server:
    """A server that every connection ends at, and that hands out tokens."""
    server = Server({("POST", TOKEN): token(**roles("manage-clients", "view-users", "manage-users")), **answers})
    monkeypatch.setattr(ConnectTo, "send", lambda _self, request, **_options: server.send(request))
    return server


def connect(identity: KeycloakIdentity = IDENTITY, may_write: Callable[[], None] = lambda: None) -> Keycloak:
    return Keycloak.connect(identity, SECRET, may_write)
