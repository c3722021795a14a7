"""A ReleaseRecord: what was released, whether its checks passed, and what it takes to go back to it. Pure.

No secret is in one: values and profile refer to secrets by where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class CheckResult(BaseModel):
    """How one check ended; ``detail`` says what was seen, or why it failed and what to do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    passed: bool
    detail: str
    seconds: float


class Backup(BaseModel):
    """A copy of the hub's database on the volume of the database itself, sealed by its checksum."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    """Path in the hub's pod."""
    sha256: str
    bytes: int
    schema_revision: str
    """Alembic's revision of the tables."""
    made_at: datetime


class ReleaseRecord(BaseModel):
    """One revision of a hub's Helm release, and how its checks ended. No checks: nobody has proved it yet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hub: str
    release: str
    revision: int
    chart: str
    """Name and version, as Helm shows them: jupyterhub-4.4.0."""
    chart_digest: str
    values_hash: str
    values: dict[str, Any] | None = Field(default=None, repr=False)
    """The chart's values, which refer to secrets and hold none. None in records of Hubwright before 0.2."""
    profile: dict[str, Any] | None = Field(default=None, repr=False)
    """The whole profile, with references to secrets. None in records of Hubwright before 0.2."""
    image: str
    """The notebook image, by digest."""
    hub_image: str | None = None
    """The hub's own image, as its Deployment names it."""
    schema_revision: str | None = None
    """Alembic's revision of the hub's database while this release was checked."""
    backup: Backup | None = None
    """Of the database as this release left it, made before another hub's image took it over."""
    origin: int | None = None
    """The revision that this one went back to."""
    checks: tuple[CheckResult, ...]
    recorded_at: datetime

    @property
    def healthy(self) -> bool:
        """Whether there were checks and all of them passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def stands_for(self) -> int:
        """The revision that made what this one runs: its own, or the one that it went back to."""
        return self.origin or self.revision

    def same_revision(self, other: ReleaseRecord) -> bool:
        """Whether another record of this number tells of the same revision, and not of one after an uninstall."""
        return (self.chart_digest, self.values_hash) == (other.chart_digest, other.values_hash)

    def same_release(self, other: ReleaseRecord) -> bool:
        """Whether another record tells of the same, however the checks ended, and whenever that was."""
        how = {"checks", "recorded_at", "backup", "schema_revision"}
        return self.model_dump(exclude=how) == other.model_dump(exclude=how)


def newest_healthy(records: Sequence[ReleaseRecord]) -> ReleaseRecord | None:
    """The healthy record of the newest revision; None when there is none."""
    return next((record for record in records if record.healthy), None)


def record_of(records: Sequence[ReleaseRecord], revision: int) -> ReleaseRecord | None:
    """The record of a revision; None when there is none."""
    return next((record for record in records if record.revision == revision), None)


def healthy_releases(records: Sequence[ReleaseRecord]) -> tuple[ReleaseRecord, ...]:
    """What one can go back to, newest first: of revisions that run the same, the newest that is healthy."""
    seen: set[int] = set()
    found: list[ReleaseRecord] = []
    for record in records:
        if record.healthy and record.stands_for not in seen:
            seen.add(record.stands_for)
            found.append(record)
    return tuple(found)


def release_before(records: Sequence[ReleaseRecord], present: int) -> ReleaseRecord | None:
    """The newest healthy release before the one that revision ``present`` runs; None when there is none.

    After going back from 3 to 2, which Helm numbers 4, it is the one before 2, and not 3 again.
    """
    now = record_of(records, present)
    older = now.stands_for if now else present
    return next((one for one in healthy_releases(records) if one.stands_for < older), None)


def backup_for(records: Sequence[ReleaseRecord], schema_revision: str) -> Backup | None:
    """The newest backup of a database with this schema; None when there is none."""
    backups = (record.backup for record in records if record.backup)
    fitting = [backup for backup in backups if backup.schema_revision == schema_revision]
    return max(fitting, key=lambda backup: backup.made_at, default=None)
