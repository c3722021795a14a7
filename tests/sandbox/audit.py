"""The API server's audit log: who wrote what since a moment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FENCE = "leases"
PODS = "system:serviceaccount:"
WRITES = ("create", "update", "patch", "delete", "deletecollection")


@dataclass(frozen=True)
class Audit:
    """The log of the API server (audit.k8s.io/v1, one event on each line)."""

    log: Path

    def now(self) -> int:
        """A moment, to ask about what came after it."""
        return self.log.stat().st_size

    def writes(self, since: int, namespace: str, agents: tuple[str, ...]) -> list[str]:
        """Write requests in a namespace by these user agents (by how they begin), those for the fence aside."""
        return [
            f"{event['verb']} {event['requestURI']} by {event['userAgent']}"
            for event in self._events(since)
            if event["verb"] in WRITES
            and event.get("userAgent", "").startswith(agents)
            and event.get("objectRef", {}).get("namespace") == namespace
            and event["objectRef"]["resource"] != FENCE
        ]

    def requests(self, since: int, agents: tuple[str, ...]) -> int:
        """How many requests of any kind these user agents made from here; flows in the cluster go on meanwhile."""
        return sum(
            event.get("userAgent", "").startswith(agents) and not event["user"]["username"].startswith(PODS)
            for event in self._events(since)
        )

    def _events(self, since: int) -> list[dict[str, Any]]:
        with self.log.open("rb") as stream:
            stream.seek(since)
            return [json.loads(line) for line in stream.read().splitlines()]
