"""Phase release, what would change: pure, from what is wanted and what was seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from tasks.core.change import Action, Change, Plan, compare
from tasks.release.state import ReleaseStatus, SeenRelease
from tasks.release.values import Values


@dataclass(frozen=True)
class WantedRelease:
    """A release as it should be."""

    name: str
    chart: str
    chart_digest: str
    values: Values = field(repr=False)


def plan_release(wanted: WantedRelease, seen: SeenRelease) -> Plan:
    """What deploying would change; empty when exactly this chart and these values run."""
    title = f"Release {wanted.name}"
    match seen.status:
        case ReleaseStatus.ABSENT:
            return Plan((Change.of(Action.CREATE, title, "", f"{wanted.chart} ({wanted.chart_digest})"),))
        case ReleaseStatus.DEPLOYED:
            return _differences(title, wanted, seen)
        case ReleaseStatus.FAILED | ReleaseStatus.PENDING:
            retry = Change.of(Action.UPDATE, f"{title} status", seen.reason, "deployed")
            return Plan((retry,)) + _differences(title, wanted, seen)
        case _:
            assert_never(seen.status)


def _differences(title: str, wanted: WantedRelease, seen: SeenRelease) -> Plan:
    changes: list[Change] = []
    if wanted.chart != seen.chart:
        changes.append(Change.of(Action.UPDATE, f"{title} chart", seen.chart, wanted.chart))
    if seen.chart_digest not in (None, wanted.chart_digest):
        changes.append(Change.of(Action.UPDATE, f"{title} chart digest", seen.chart_digest, wanted.chart_digest))
    return Plan(tuple(changes)) + compare(f"{title} value", seen.values, wanted.values)
