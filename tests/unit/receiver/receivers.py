"""A receiver without Harbor and Prefect: what they answer is said here, and how often they were asked is counted."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import SecretStr

from config.secrets import SecretRef
from config.spec import Hub
from deployments.receiver.app import make_app
from deployments.receiver.metrics import Metrics
from deployments.receiver.readiness import Readiness
from deployments.receiver.redeploys import Follower, Redeploys
from deployments.receiver.tokens import Tokens, refs_of
from flows.redeploy import Started
from tasks.core.errors import Permanent
from tasks.registry.following import Followed, redeploy_key
from tests.harbors import hub_with

FIXTURES = Path(__file__).parents[3].parent / "shared" / "data" / "harbor-webhooks"
REFERENCE = "registry.example.com/iav/base-notebook:v1"
PUSHED_AT = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
DIGEST = "sha256:b635ef22ff418e2f7ea44cb760105f719cd885e1b3ff5cfddeb2f865adad5c8c"
FOLLOWED = Followed(DIGEST, PUSHED_AT, "Success")
TOKEN, OTHER = "Bearer first-secret", "Bearer second-secret"

T = TypeVar("T")


def hub(name: str = "lab", reference: str = REFERENCE, **webhook: Any) -> Hub:
    """A hub that follows the tag of Harbor's examples."""
    part = {"url": "https://hooks.example.internal/harbor", "authorization": {"env": "FIRST"}, **webhook}
    return hub_with(name, reference, webhook=part)


def sample(name: str, **changed: Any) -> dict[str, Any]:
    """One of Harbor's examples, with fields of its outermost object changed."""
    return {**json.loads((FIXTURES / f"{name}.json").read_text()), **changed}


@dataclass
class World:
    """What the receiver sees, and what it did."""

    hubs: list[Hub] = field(default_factory=lambda: [hub()])
    secrets: dict[str, str] = field(default_factory=lambda: {"FIRST": TOKEN})
    tag: Followed | None = FOLLOWED
    read_error: Exception | None = None
    start_errors: dict[str, Exception] = field(default_factory=dict[str, Exception])
    seconds: float = 0.0
    """How long Harbor takes."""
    clock: float = 1000.0
    prefect: str = ""
    reads: list[str] = field(default_factory=list[str])
    starts: list[str] = field(default_factory=list[str])
    keys: set[str] = field(default_factory=set[str])
    """The runs that Prefect has."""
    secret_reads: int = 0
    pings: int = 0
    metrics: Metrics = field(default_factory=Metrics)

    def read(self, hub: Hub) -> Followed | None:
        self.reads.append(hub.name)
        time.sleep(self.seconds)
        if self.read_error:
            raise self.read_error
        return self.tag

    def start(self, hub: Hub, profile: str, followed: Followed) -> Started:
        self.starts.append(f"{profile}: {followed.digest}")
        if hub.name in self.start_errors:
            raise self.start_errors[hub.name]
        key = redeploy_key(hub, followed)
        made = key not in self.keys
        self.keys.add(key)
        return Started(key[:8], f"https://prefect.example.internal/runs/{key[:8]}", made)

    def secret(self, ref: SecretRef) -> SecretStr:
        self.secret_reads += 1
        if ref.env not in self.secrets:
            raise Permanent("secrets", f"read the {ref}", "nothing is there", "put it there")
        return SecretStr(self.secrets[ref.env])

    def ping(self) -> str:
        self.pings += 1
        return self.prefect

    def run(self, talk: Callable[[Client], Awaitable[T]]) -> T:
        """What ``talk`` returns, which talks to a receiver that ends with it."""
        return asyncio.run(self._run(talk))

    async def _run(self, talk: Callable[[Client], Awaitable[T]]) -> T:
        followers = [Follower(f"profile-{one.name}", one) for one in self.hubs]
        tokens = Tokens({one.name: refs_of(one) for one in self.hubs}, self.secret, lambda: self.clock)
        redeploys = Redeploys(self.read, self.start, self.metrics, lambda: self.clock)
        app = make_app(followers, tokens, redeploys, self.metrics, Readiness(self.ping, lambda: self.clock))
        try:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://receiver") as http:
                return await talk(Client(http))
        finally:
            await redeploys.close()

    def deliver(self, document: Any, **options: Any) -> httpx.Response:
        """The answer to one delivery to a receiver of its own."""
        return self.run(lambda client: client.deliver(document, **options))


@dataclass
class Client:
    """Harbor, as far as the receiver sees it."""

    http: httpx.AsyncClient

    async def deliver(
        self, document: Any, token: str | None = TOKEN, media: str = "application/json"
    ) -> httpx.Response:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        headers = {"Content-Type": media} | ({"Authorization": token} if token is not None else {})
        return await self.http.post("/harbor", content=content, headers=headers)
