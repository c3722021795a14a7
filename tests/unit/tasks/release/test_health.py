"""How a release stands, and which of its pods restart."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.core.change import Action, Change
from tasks.core.record import ReleaseRecord
from tasks.release.health import Health, health_of
from tasks.release.restarts import HUB, PROXY, edited, hub_image, plan_restarts, restarting
from tasks.release.state import Revision
from tests.unit.tasks.core.test_record import record


def history(*statuses: str) -> list[Revision]:
    return [Revision(number, status, "c-1.0.0", "said") for number, status in enumerate(statuses, 1)]


@pytest.mark.parametrize(
    ("revisions", "records", "health", "target"),
    [
        (history(), [record(1)], Health.ABSENT, None),
        (history("superseded", "deployed"), [record(2), record(1)], Health.HEALTHY, 2),
        (history("superseded", "deployed"), [record(1)], Health.UNPROVED, 1),
        (history("superseded", "deployed"), [record(2, passed=None), record(1)], Health.UNPROVED, 1),
        (history("superseded", "deployed"), [record(2, passed=False), record(1)], Health.FAILED, 1),
        (history("deployed", "pending-upgrade"), [record(1)], Health.BROKEN, 1),
        (history("superseded", "failed"), [record(1)], Health.BROKEN, 1),
        (history("failed"), [], Health.BROKEN, None),
    ],
)
def test_health_is_what_helm_and_the_records_say(
    revisions: list[Revision], records: list[ReleaseRecord], health: Health, target: int | None
) -> None:
    seen = health_of(revisions, records)
    assert seen.health is health
    assert (seen.target.revision if seen.target else None) == target
    assert seen.revision == len(revisions)
    assert seen.reason


def deployment(name: str, image: str, replicas: int = 1) -> dict[str, Any]:
    containers = [{"name": name, "image": image}]
    spec = {"replicas": replicas, "template": {"spec": {"containers": containers}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def test_only_pods_that_would_be_others_restart() -> None:
    before = [deployment(HUB, "hub:4"), deployment(PROXY, "proxy:1")]
    assert restarting(before, [deployment(HUB, "hub:4", replicas=2), deployment(PROXY, "proxy:1")]) == ()
    assert restarting(before, [deployment(HUB, "hub:5"), deployment(PROXY, "proxy:1")]) == (HUB,)
    assert restarting(before, [deployment(PROXY, "proxy:2"), deployment("new", "x")]) == (PROXY,)
    assert hub_image(before) == "hub:4"
    assert hub_image([]) == ""


def test_pods_that_were_edited_by_hand_restart_too() -> None:
    paths = (
        "Deployment proxy spec.template.spec.containers[chp].image",
        "Deployment hub spec.replicas",
        "Service hub x",
    )
    assert edited([Change.of(Action.UPDATE, path) for path in paths]) == (PROXY,)
    assert edited([Change.of(Action.CREATE, "Deployment hub")]) == ()


def test_the_plan_says_what_a_restart_means_for_users() -> None:
    hub, proxy = plan_restarts((HUB, PROXY))
    assert "stay open" in hub.after
    assert "closed for some seconds; users are told before" in proxy.after
