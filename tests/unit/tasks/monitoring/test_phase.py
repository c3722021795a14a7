"""The tasks of phase monitoring, with a cluster that only keeps objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from config.profiles import load_profile
from tasks.core.change import Plan
from tasks.core.objects import Access, Body, Kind, WantedObject, plan_object
from tasks.monitoring import phase
from tasks.monitoring.plan import SERVICE_MONITOR, TokenRef

TOKEN = TokenRef("hub", "token")
HUB = load_profile("iav-v1")
DASHBOARD, MONITOR = "create ConfigMap hubwright-dashboard", "create ServiceMonitor hubwright-metrics"


class _Cluster:
    """Keeps what is applied, and knows ServiceMonitors or not."""

    def __init__(self, *known: Kind) -> None:
        self.known = known
        self.kept: dict[str, Body] = {}
        self.said: list[str] = []
        self.asked: list[Access] = []

    def connect(self, **_options: Any) -> _Cluster:
        return self

    def knows(self, kind: Kind) -> bool:
        return kind in self.known

    def list_denied(self, wanted: Sequence[Access], namespace: str) -> tuple[Access, ...]:
        assert namespace == HUB.cluster.namespace
        self.asked += wanted
        return tuple(wanted)

    def plan(self, wanted: WantedObject) -> Plan:
        assert wanted.kind != SERVICE_MONITOR or self.known
        return plan_object(wanted, self.kept.get(wanted.title))

    def ensure(self, wanted: WantedObject) -> Plan:
        plan = self.plan(wanted)
        self.kept[wanted.title] = wanted.body
        return plan

    def info(self, text: str, *values: object) -> None:
        self.said.append(text % values)


class _Fence:
    def check(self) -> None:
        raise AssertionError("nothing is written here")


def _cluster(monkeypatch: pytest.MonkeyPatch, *known: Kind) -> _Cluster:
    cluster = _Cluster(*known)
    monkeypatch.setattr(phase, "Kubernetes", cluster)
    monkeypatch.setattr(phase, "get_run_logger", lambda: cluster)
    return cluster


def _ensure() -> list[str]:
    return [str(change) for change in phase.ensure_monitoring.fn(HUB, TOKEN, _Fence())]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("known", "changes"), [((SERVICE_MONITOR,), [DASHBOARD, MONITOR]), ((), [DASHBOARD])], ids=["operator", "none"]
)
def test_what_is_planned_is_made_and_then_nothing_is_left_to_do(
    known: tuple[Kind, ...], changes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = _cluster(monkeypatch, *known)
    assert [str(change) for change in phase.plan_monitoring.fn(HUB, TOKEN)] == changes
    assert cluster.kept == {}
    assert _ensure() == changes
    assert phase.plan_monitoring.fn(HUB, TOKEN).empty
    assert _ensure() == []


def test_a_missing_operator_is_said_once_and_one_that_is_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    said = _cluster(monkeypatch).said
    phase.plan_monitoring.fn(HUB, TOKEN)
    _ensure()
    assert said.count(phase.NO_OPERATOR) == 1
    said = _cluster(monkeypatch, SERVICE_MONITOR).said
    phase.plan_monitoring.fn(HUB, TOKEN)
    assert said == []


def test_who_wants_no_monitoring_hears_nothing_and_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = _cluster(monkeypatch)
    hub = HUB.model_copy(update={"monitoring": None})
    assert phase.plan_monitoring.fn(hub, TOKEN).empty
    assert phase.check_monitoring.fn(hub) == ()
    assert cluster.asked == []
    assert cluster.said == []


def test_rights_on_service_monitors_are_asked_for_only_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    for known, resources in (
        ((), {"configmaps"}),
        (
            (SERVICE_MONITOR,),
            {"configmaps", "servicemonitors.monitoring.coreos.com"},
        ),
    ):
        cluster = _cluster(monkeypatch, *known)
        [problem, *_others] = phase.check_monitoring.fn(HUB)
        assert "permission to create" in problem.what
        assert {access.resource for access in cluster.asked} == resources
