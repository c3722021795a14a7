"""What can be seen of a Helm release, and of the pods that it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tasks.core.objects import Body


class ReleaseStatus(StrEnum):
    """How the newest revision of a release stands."""

    ABSENT = "absent"
    DEPLOYED = "deployed"
    FAILED = "failed"
    PENDING = "pending"


@dataclass(frozen=True)
class Revision:
    """One line of a release's history, as ``helm history -o json`` (3.14 to 4.3) writes it."""

    number: int
    status: str
    chart: str
    description: str


@dataclass(frozen=True)
class SeenRelease:
    """A release as it is. ``chart_digest`` is None when no record tells it."""

    status: ReleaseStatus
    reason: str
    revision: int = 0
    chart: str = ""
    chart_digest: str | None = None
    values: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)


def status_of(history: Sequence[Revision]) -> tuple[ReleaseStatus, str]:
    """How the newest revision stands, and why we say so.

    Only the newest counts: a revision whose Helm was killed stays pending in the history for ever.
    """
    if not history:
        return ReleaseStatus.ABSENT, "there is no such release"
    last = history[-1]
    reason = f"revision {last.number} is {last.status}: {last.description}"
    if last.status == "deployed":
        return ReleaseStatus.DEPLOYED, reason
    if last.status.startswith("pending"):
        return ReleaseStatus.PENDING, reason
    return ReleaseStatus.FAILED, reason


def last_good(history: Sequence[Revision]) -> int | None:
    """The newest revision that Helm once finished; None when there is none."""
    good = [revision.number for revision in history if revision.status in ("deployed", "superseded")]
    return max(good, default=None)


def pod_phrase(pod: Body) -> str:
    """A pod's state in a few words: ``hub-6d: ContainerCreating``, ``proxy-5f: ready``."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    containers = status.get("containerStatuses", [])
    waiting = [
        entry["state"]["waiting"].get("reason", "waiting") for entry in containers if entry["state"].get("waiting")
    ]
    if pod["metadata"].get("deletionTimestamp"):
        return f"{name}: stopping"
    if waiting:
        return f"{name}: {', '.join(waiting)}"
    if containers and all(entry["ready"] for entry in containers):
        return f"{name}: ready"
    return f"{name}: {status.get('phase', 'Unknown')}, not ready"
