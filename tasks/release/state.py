"""What can be seen of a Helm release, and of the pods that it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from tasks.core.change import Plan
from tasks.core.objects import Body


class ReleaseStatus(StrEnum):
    """How the newest revision of a release stands."""

    ABSENT = "absent"
    DEPLOYED = "deployed"
    FAILED = "failed"
    PENDING = "pending"


@dataclass(frozen=True)
class ChartArchive:
    """A chart on disk: its name with version, its digest, which Kubernetes it runs on, and which JupyterHub it has."""

    path: Path
    title: str
    digest: str
    kube_version: str = ""
    hub_version: str = ""


@dataclass(frozen=True)
class Revision:
    """One line of a release's history, as ``helm history -o json`` (3.14 to 4.3) writes it."""

    number: int
    status: str
    chart: str
    description: str


@dataclass(frozen=True)
class RenderedRevision:
    """A revision, and the objects that it was rendered to."""

    revision: Revision
    objects: tuple[Body, ...] = field(repr=False)


@dataclass(frozen=True)
class SeenRelease:
    """A release as it is. ``chart_digest`` is None when no record tells it."""

    status: ReleaseStatus
    reason: str
    revision: int = 0
    chart: str = ""
    chart_digest: str | None = None
    values: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    drift: Plan = field(default_factory=Plan)
    """What somebody changed by hand in the objects that Helm made."""
    objects: tuple[Body, ...] = field(default=(), repr=False)
    """What Helm rendered the newest revision to."""


@dataclass(frozen=True)
class DeployedRelease:
    """What runs after the release phase. ``hub_image`` is that of the hub's own pod."""

    revision: int
    chart: str
    chart_digest: str
    values: dict[str, Any] = field(repr=False)
    hub_image: str


@dataclass(frozen=True)
class ReleasePlan:
    """What would change of the release, and what that does to its pods.

    ``running`` is the release when nothing is to be changed; ``replaces`` is the hub's image while another one is to
    take over its database.
    """

    changes: Plan
    running: DeployedRelease | None = None
    restarts: tuple[str, ...] = ()
    replaces: str | None = None


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
