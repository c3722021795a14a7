"""What may stand in front of a Keycloak: it counts, says that it is busy, is slow, or cuts what passes."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from deployments.sandbox.addresses import KEYCLOAK_PORT, NODE_IP
from deployments.sandbox.paths import Paths
from tasks.core.address import Address

ADDRESS = "127.0.0.9"
"""Where it listens, on Keycloak's own port: the issuer stays the same."""
HOST = "keycloak.example.internal"
HOP_BY_HOP = ("connection", "content-length", "content-encoding", "transfer-encoding")
UPSTREAM_SECONDS = 30

Trouble = Callable[["_Handler"], bool]
"""Does something about a request; whether it is answered by that."""


@dataclass
class Front:
    """Hands every request on to Keycloak; ``troubles`` are for the next ones, one for each."""

    paths: Paths
    troubles: list[Trouble] = field(default_factory=list[Trouble])
    only: str = ""
    """Troubles are for requests of this method; for all of them when empty."""
    date: str = ""
    """What it says the time is."""
    asked: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self.paths.pki / "keycloak.crt", self.paths.pki / "keycloak.key")
        where = Address(f"https://{HOST}:{KEYCLOAK_PORT}", str(self.paths.ca), NODE_IP)
        self.keycloak = where.open_client(UPSTREAM_SECONDS)
        self.url = where.url
        handler = type("Handler", (_Handler,), {"front": self})
        self._server = ThreadingHTTPServer((ADDRESS, KEYCLOAK_PORT), handler)
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Nobody listens."""
        self._server.shutdown()
        self._server.server_close()
        self.keycloak.close()


def busy(status: int, **headers: str) -> Trouble:
    """It answers with this status, and Keycloak hears nothing."""

    def answer(handler: _Handler) -> bool:
        handler.answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"<html>busy</html>")
        return True

    return answer


def slow(seconds: float) -> Trouble:
    """It takes its time."""

    def wait(_handler: _Handler) -> bool:
        time.sleep(seconds)
        return False

    return wait


def cut_before(handler: _Handler) -> bool:
    """The connection ends, and Keycloak heard nothing."""
    handler.close_connection = True
    return True


def cut_after(handler: _Handler) -> bool:
    """Keycloak did what it was asked to, and the connection ends before it can say so."""
    handler.forward()
    handler.close_connection = True
    return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    front: Front

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def forward(self) -> httpx.Response:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        return self.front.keycloak.request(
            self.command, self.front.url + self.path, headers=headers, content=body, follow_redirects=False
        )

    def _pass(self) -> None:
        self.front.asked.append(f"{self.command} {self.path.partition('?')[0]}")
        mine = self.front.troubles and self.front.only in ("", self.command)
        if mine and self.front.troubles.pop(0)(self):
            return
        found = self.forward()
        headers = {name: value for name, value in found.headers.items() if name.lower() not in HOP_BY_HOP}
        self.answer(found.status_code, headers | ({"date": self.front.date} if self.front.date else {}), found.content)

    do_GET = do_POST = do_PUT = do_DELETE = _pass  # noqa: N815

    def log_message(self, format: str, *_words: object) -> None:  # noqa: A002
        """Says nothing."""
