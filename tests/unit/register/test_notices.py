"""What people are told of, as automations."""

from __future__ import annotations

from uuid import uuid4

import pytest
from prefect.events.actions import RunDeployment, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from deployments.register.automations import canonical
from deployments.register.notices import notifications, repair_after_crash

BLOCK = uuid4()
IDS = {f"{flow}/my-hub": uuid4() for flow in ("deploy", "rollback", "converge")}


def notification(name: str, url: str = "https://prefect.example.com/") -> AutomationCore:
    (found,) = [one for one in notifications(BLOCK, url) if one.name == f"hubwright: {name}"]
    return found


def trigger_of(automation: AutomationCore) -> EventTrigger:
    assert isinstance(automation.trigger, EventTrigger)
    return automation.trigger


@pytest.mark.parametrize(
    ("name", "states"),
    [("a run failed", {"Failed", "TimedOut"}), ("a run crashed", {"Crashed"}), ("drift", {"Drift"})],
)
def test_trouble_is_told_at_once(name: str, states: set[str]) -> None:
    trigger = trigger_of(notification(name))
    assert trigger.posture is Posture.Reactive
    assert trigger.expect == {f"prefect.flow-run.{state}" for state in states}
    assert trigger.within.total_seconds() == 0


@pytest.mark.parametrize(
    ("name", "seconds", "state"), [("a run is stuck", 7200, "Running"), ("a run does not start", 900, "Late")]
)
def test_what_does_not_go_on_is_told_after_a_while(name: str, seconds: float, state: str) -> None:
    trigger = trigger_of(notification(name))
    assert trigger.posture is Posture.Proactive
    assert trigger.within.total_seconds() == seconds
    assert f"prefect.flow-run.{state}" in trigger.after
    # What begins the watch begins it anew: a deploy that was approved after hours is watched from then on.
    assert trigger.after < trigger.expect


@pytest.mark.parametrize("state", ["Completed", "Drift", "Superseded", "Failed", "Crashed", "Cancelled", "Paused"])
def test_a_run_that_ended_or_waits_for_approval_is_not_stuck(state: str) -> None:
    trigger = trigger_of(notification("a run is stuck"))
    assert f"prefect.flow-run.{state}" in trigger.expect - trigger.after


def test_a_message_has_reason_remedy_and_link() -> None:
    (action,) = notification("a run failed").actions
    assert isinstance(action, SendNotification)
    assert action.block_document_id == BLOCK
    assert "Why: {{ flow_run.state.message" in action.body
    assert "What to do: " in action.body
    assert action.body.endswith("\n\nhttps://prefect.example.com/runs/flow-run/{{ flow_run.id }}")


def test_without_an_address_the_link_is_as_prefect_makes_it() -> None:
    (action,) = notification("a run failed", url="").actions
    assert isinstance(action, SendNotification)
    assert action.body.endswith("\n\n{{ flow_run|ui_url }}")


def test_a_crash_of_what_changes_a_hub_starts_its_repair() -> None:
    automation = repair_after_crash("my-hub", IDS)
    trigger = trigger_of(automation)
    (action,) = automation.actions
    assert trigger.expect == {"prefect.flow-run.Crashed"}
    related = trigger.match_related
    changed_by = {f"prefect.deployment.{IDS[name]}" for name in ("deploy/my-hub", "rollback/my-hub")}
    assert not isinstance(related, list)
    assert set(related["prefect.resource.id"]) == changed_by
    assert isinstance(action, RunDeployment)
    assert action.deployment_id == IDS["converge/my-hub"]
    assert action.parameters == {"repair": True}


def test_two_processes_see_the_same_automation() -> None:
    document = canonical(notification("a run is stuck"))
    assert document["trigger"]["expect"] == sorted(document["trigger"]["expect"])
    assert document["trigger"]["after"] == ["prefect.flow-run.Retrying", "prefect.flow-run.Running"]
    assert canonical(AutomationCore.model_validate(document)) == document
