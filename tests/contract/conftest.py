"""Harbor's stand-in on a port of this machine, whose every exchange is held against Harbor's description."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from deployments.sandbox.harbor.app import make_app
from deployments.sandbox.harbor.asks import Harbor
from deployments.sandbox.harbor.store import Store
from tasks.core.wait import wait_until
from tests.contract.harbor_contract import contract
from tests.contract.registries import Registry

API = "/api/v2.0"
PASSWORD = "Administrator1"
SECONDS = 10.0
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""It is not used, and quicker made than one with every authority in it."""


@dataclass
class Receiver:
    """What receives webhooks; it answers with the statuses in turn, and after them that all is well."""

    statuses: list[int] = field(default_factory=list[int])
    received: list[httpx.Request] = field(default_factory=list[httpx.Request])

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.received.append(request)
        return httpx.Response(self.statuses.pop(0) if self.statuses else 200)


@dataclass
class StandIn:
    """The running stand-in, and its clients."""

    url: str
    results: Path
    receiver: Receiver
    _clients: list[httpx.Client] = field(default_factory=list[httpx.Client])

    def client(self, name: str = "", secret: str = "") -> httpx.Client:
        """Somebody: without a name, nobody in particular. Each exchange is checked; no cookie is kept."""

        def check(response: httpx.Response) -> None:
            response.read()
            client.cookies.clear()
            assert contract().faults(response) == []

        auth = (name, secret) if name else None
        client = httpx.Client(base_url=self.url, auth=auth, timeout=SECONDS, trust_env=False, verify=NO_TLS)
        client.event_hooks = {"response": [check]}
        self._clients.append(client)
        return client

    @cached_property
    def admin(self) -> httpx.Client:
        return self.client("admin", PASSWORD)

    def set(self, **settings: Any) -> None:
        assert self.admin.put("/test/settings", json=settings).is_success

    def user(self, name: str) -> httpx.Client:
        """A person who administers nothing yet."""
        about = {"username": name, "password": PASSWORD, "realname": name, "email": f"{name}@example.internal"}
        assert self.admin.post(f"{API}/users", json=about).status_code == 201
        return self.client(name, PASSWORD)

    def project(self, name: str, **body: Any) -> int:
        """A project of the administrator; returns its number."""
        made = self.admin.post(f"{API}/projects", json={"project_name": name, **body})
        assert made.status_code == 201
        return int(made.headers["Location"].rpartition("/")[2])

    def robot(self, project: str, *pairs: str) -> tuple[int, httpx.Client]:
        """A robot of a project with these rights."""
        access = [{"resource": pair.partition(":")[0], "action": pair.partition(":")[2]} for pair in pairs]
        permissions = [{"kind": "project", "namespace": project, "access": access}]
        body = {"name": f"robot{len(self._clients)}", "level": "project", "duration": 30, "permissions": permissions}
        made = self.admin.post(f"{API}/robots", json=body).raise_for_status().json()
        return made["id"], self.client(made["name"], made["secret"])

    def wait(self, reason: Callable[[], str]) -> None:
        """Until there is no reason to wait any more."""
        wait_until("Harbor", "get done", reason, seconds=SECONDS, remedy="")

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture
def harbor(tmp_path: Path) -> Generator[StandIn, None, None]:
    """A Harbor of its own for each test: it knows nothing yet."""
    registry, receiver = Registry(), Receiver()
    results = tmp_path / "scans"
    results.mkdir()
    state = Harbor(
        store=Store(tmp_path / "harbor.json"),
        upstream=httpx.AsyncClient(base_url="http://registry", transport=httpx.ASGITransport(registry.app)),
        outside=httpx.AsyncClient(transport=httpx.MockTransport(receiver.answer)),
        host="registry.example.com", results=results, password=PASSWORD,
    )  # fmt: skip
    config = uvicorn.Config(make_app(state), host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until("Harbor", "start", lambda: "" if server.started else "not yet", seconds=SECONDS, remedy="")
    port = server.servers[0].sockets[0].getsockname()[1]
    stand_in = StandIn(f"http://127.0.0.1:{port}", results, receiver)
    stand_in.set(scan_seconds=0.02, retry_scale=0.0)
    yield stand_in
    stand_in.close()
    server.should_exit = True
    thread.join(SECONDS)
