"""Phase release, what would change: pure, from what is wanted and what was seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from config.spec import Hub
from tasks.core.change import Action, Change, Plan, compare
from tasks.core.objects import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    INGRESS,
    NETWORK_POLICY,
    POD,
    REPLICA_SET,
    SECRET,
    SERVICE,
    Access,
)
from tasks.release.state import ChartArchive, ReleaseStatus, SeenRelease
from tasks.release.values import Values

WRITTEN_BY_HELM = (CONFIG_MAP, SECRET, SERVICE, CLAIM, DEPLOYMENT, NETWORK_POLICY, INGRESS)
"""What the chart makes, and the Secrets that Helm keeps its revisions in."""
WATCHED_BY_HELM = (POD, REPLICA_SET)
"""What Helm looks at to know that a Deployment is ready."""


@dataclass(frozen=True)
class WantedRelease:
    """A release as it should be."""

    name: str
    chart: ChartArchive
    values: Values = field(repr=False)


def plan_release(wanted: WantedRelease, seen: SeenRelease) -> Plan:
    """What deploying would change; empty when exactly this chart and these values run."""
    title = f"Release {wanted.name}"
    match seen.status:
        case ReleaseStatus.ABSENT:
            return Plan((Change.of(Action.CREATE, title, "", f"{wanted.chart.title} ({wanted.chart.digest})"),))
        case ReleaseStatus.DEPLOYED:
            return _differences(title, wanted, seen)
        case ReleaseStatus.FAILED | ReleaseStatus.PENDING:
            retry = Change.of(Action.UPDATE, f"{title} status", seen.reason, "deployed")
            return Plan((retry,)) + _differences(title, wanted, seen)
        case _:
            assert_never(seen.status)


def permissions(hub: Hub) -> tuple[Access, ...]:
    """Everything that the account needs for this phase."""
    namespace = hub.cluster.namespace
    write = ("create", "delete", "get", "list", "patch", "update", "watch")
    read = ("get", "list", "watch")
    return (
        *(Access(verb, kind, namespace) for kind in WRITTEN_BY_HELM for verb in write),
        *(Access(verb, kind, namespace) for kind in WATCHED_BY_HELM for verb in read),
        *(Access(verb, EVENT, namespace) for verb in ("list",)),
    )


def _differences(title: str, wanted: WantedRelease, seen: SeenRelease) -> Plan:
    changes: list[Change] = []
    if wanted.chart.title != seen.chart:
        changes.append(Change.of(Action.UPDATE, f"{title} chart", seen.chart, wanted.chart.title))
    if seen.chart_digest not in (None, wanted.chart.digest):
        changes.append(Change.of(Action.UPDATE, f"{title} chart digest", seen.chart_digest, wanted.chart.digest))
    return Plan(tuple(changes)) + compare(f"{title} value", seen.values, wanted.values) + seen.drift
