"""How a release stands, by Helm's history and by what is on record: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tasks.core.record import ReleaseRecord, newest_healthy, record_of
from tasks.release.state import ReleaseStatus, Revision, status_of


class Health(StrEnum):
    """Whether what runs is known to be good."""

    ABSENT = "absent"
    HEALTHY = "healthy"
    """Its checks passed."""
    UNPROVED = "unproved"
    """Helm finished it, and no checks are on record: the run was ended before them, or somebody lost the record."""
    FAILED = "failed"
    """Its checks did not pass."""
    BROKEN = "broken"
    """Helm did not finish it."""


@dataclass(frozen=True)
class SeenHealth:
    """How a release stands, and why we say so."""

    health: Health
    reason: str
    revision: int = 0
    record: ReleaseRecord | None = None
    """What is on record of the newest revision."""
    target: ReleaseRecord | None = None
    """The newest healthy release, to go back to; None when none ever was."""


def health_of(history: Sequence[Revision], records: Sequence[ReleaseRecord]) -> SeenHealth:
    """How the newest revision stands. ``history`` is oldest first, ``records`` are newest first."""
    status, reason = status_of(history)
    if status is ReleaseStatus.ABSENT:
        return SeenHealth(Health.ABSENT, reason)
    number = history[-1].number
    record, target = record_of(records, number), newest_healthy(records)
    if status is not ReleaseStatus.DEPLOYED:
        return SeenHealth(Health.BROKEN, reason, number, record, target)
    if record is None or not record.checks:
        return SeenHealth(Health.UNPROVED, f"revision {number} has no checks on record", number, record, target)
    if not record.healthy:
        wrong = next(check.name for check in record.checks if not check.passed)
        return SeenHealth(Health.FAILED, f"revision {number} failed the check: {wrong}", number, record, target)
    return SeenHealth(Health.HEALTHY, f"revision {number} passed its checks", number, record, target)
