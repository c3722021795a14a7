"""What a scanner's findings mean for an image: pure, from the findings, the profile's gate and the day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from config.registry import AllowedVulnerability, Gate
from tasks.registry.state import Vulnerability


class Decision(StrEnum):
    """What one vulnerability does to an image."""

    STOPS = "stops"
    EXPIRED = "stops: its allowance expired"
    ALLOWED = "allowed"
    BELOW = "below the threshold"


STOPPING = frozenset({Decision.STOPS, Decision.EXPIRED})


@dataclass(frozen=True)
class Finding:
    """One row of the table: a vulnerability, what is decided of it, and why."""

    id: str
    severity: str
    package: str
    version: str
    fix_version: str
    link: str
    decision: Decision
    why: str


@dataclass(frozen=True)
class Verdict:
    """Whether an image may be used, and each vulnerability with its decision, what stops it and the worst first."""

    passed: bool
    rows: tuple[Finding, ...] = ()

    @property
    def stopping(self) -> tuple[Finding, ...]:
        """What keeps the image from being used."""
        return tuple(row for row in self.rows if row.decision in STOPPING)


def judge(found: Sequence[Vulnerability], gate: Gate, today: date) -> Verdict:
    """What the gate says to these findings on this day (UTC)."""
    allowed = {one.id: one for one in gate.allowed}
    ordered = sorted(found, key=lambda one: (-one.severity.rank, one.id, one.package))
    rows = [_row(one, *_decide(one, gate, allowed.get(one.id), today)) for one in ordered]
    rows.sort(key=lambda row: row.decision not in STOPPING)
    return Verdict(not any(row.decision in STOPPING for row in rows), tuple(rows))


def _decide(
    found: Vulnerability, gate: Gate, allowed: AllowedVulnerability | None, today: date
) -> tuple[Decision, str]:
    if gate.severity is None:
        return Decision.BELOW, "gate.severity lets everything pass"
    if found.severity.rank < gate.severity.rank:
        return Decision.BELOW, f"it is below {gate.severity}"
    if allowed is None:
        return Decision.STOPS, f"it is {gate.severity} or worse, and nobody allowed it"
    if today > allowed.until:
        return Decision.EXPIRED, f"it was allowed until {allowed.until} because {allowed.reason}"
    return Decision.ALLOWED, f"allowed until {allowed.until} because {allowed.reason}"


def _row(found: Vulnerability, decision: Decision, why: str) -> Finding:
    return Finding(
        found.id, str(found.severity), found.package, found.version, found.fix_version, found.link, decision, why
    )
