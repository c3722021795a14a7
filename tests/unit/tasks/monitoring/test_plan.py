"""What monitoring needs in the cluster, with the Prometheus Operator and without."""

from __future__ import annotations

import json
from typing import Any

import pytest

from config.profiles import load_profile
from config.spec import Hub, Monitoring
from tasks.core.objects import WantedObject, plan_object
from tasks.monitoring.plan import Operator, TokenRef, permissions, wanted_objects

TOKEN = TokenRef("the-secret", "the.key")
DASHBOARD, MONITOR = "ConfigMap hubwright-dashboard", "ServiceMonitor hubwright-metrics"
WATCHED = Monitoring(labels={"release": "kube-prometheus-stack"}, dashboard_label="boards")


def _hub(monitoring: Monitoring | None) -> Hub:
    return load_profile("iav-v1").model_copy(update={"monitoring": monitoring})


def _wanted(title: str, monitoring: Monitoring) -> WantedObject:
    objects = wanted_objects(_hub(monitoring), TOKEN, Operator.PRESENT)
    return next(wanted for wanted in objects if wanted.title == title)


def _kept(value: Any) -> Any:
    """An object as the API server keeps it: without empty mappings."""
    if not isinstance(value, dict):
        return value
    return {key: kept for key, inner in value.items() if (kept := _kept(inner)) != {}}


@pytest.mark.parametrize(
    ("monitoring", "operator", "titles"),
    [
        (WATCHED, Operator.PRESENT, [DASHBOARD, MONITOR]),
        (WATCHED, Operator.ABSENT, [DASHBOARD]),
        (None, Operator.PRESENT, []),
        (None, Operator.ABSENT, []),
    ],
)
def test_what_is_made(monitoring: Monitoring | None, operator: Operator, titles: list[str]) -> None:
    objects = wanted_objects(_hub(monitoring), TOKEN, operator)
    assert [wanted.title for wanted in objects] == titles
    assert {wanted.namespace for wanted in objects} <= {"jupyterhub-test"}
    kinds = {access.kind for access in permissions(_hub(monitoring), operator)}
    assert kinds == {wanted.kind for wanted in objects}


@pytest.mark.parametrize("monitoring", [Monitoring(), WATCHED], ids=["without labels", "with labels"])
def test_the_second_time_nothing_is_planned(monitoring: Monitoring) -> None:
    for wanted in wanted_objects(_hub(monitoring), TOKEN, Operator.PRESENT):
        assert not plan_object(wanted, None).empty
        assert plan_object(wanted, _kept(wanted.body)).empty


def test_a_label_for_the_operator_is_one_change() -> None:
    seen = _kept(_wanted(MONITOR, Monitoring()).body)
    [change] = plan_object(_wanted(MONITOR, WATCHED), seen)
    assert str(change).startswith(f"create {MONITOR} metadata.labels")


def test_the_monitor_finds_the_hub_and_has_its_token_by_reference() -> None:
    wanted = _wanted(MONITOR, WATCHED)
    assert wanted.body["metadata"]["labels"] == {"release": "kube-prometheus-stack"}
    spec = wanted.body["spec"]
    assert spec["selector"] == {"matchLabels": {"component": "hub", "release": "jupyterhub"}}
    [endpoint] = spec["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("hub", "/hub/metrics")
    assert endpoint["authorization"] == {"type": "Bearer", "credentials": {"name": "the-secret", "key": "the.key"}}


def test_grafana_finds_the_dashboard_by_the_profiles_label() -> None:
    body = _wanted(DASHBOARD, WATCHED).body
    assert body["metadata"]["labels"] == {"boards": "1"}
    assert json.loads(body["data"]["iav-v1.json"])["uid"] == "hubwright-iav-v1"
