"""A schedule that was missed, with the runs that Prefect's own scheduler makes of it."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.flow_engine import run_flow
from prefect.flows import Flow

from flows.converge import converge
from flows.deploy import Profile
from flows.endings import SUPERSEDED
from flows.follow_tags import follow_tags
from flows.rebuild_image import rebuild_image
from flows.renew_robots import renew_robots
from flows.schedule import newest_turn_only

HOUR = timedelta(hours=1)
MISSED, AHEAD = 5, 2
worked: list[str] = []


@flow(name="scheduled")
@newest_turn_only
def scheduled(profile: Profile) -> str:
    worked.append(profile)
    return profile


@pytest.fixture
def deployment() -> uuid.UUID:
    """A deployment that is to run every hour."""
    worked.clear()
    # Some time after the hour: no run's time comes while the test runs.
    every_hour = IntervalSchedule(interval=HOUR, anchor_date=datetime.now(UTC) - HOUR / 2)
    with get_client(sync_client=True) as client:
        return client.create_deployment(
            client.create_flow_from_name(scheduled.name), f"hub-{uuid.uuid4().hex[:8]}",
            parameters={"profile": "thinkube"}, tags=["hubwright"],
            schedules=[DeploymentScheduleCreate(schedule=every_hour, active=True)],
        )  # fmt: skip


def let_time_pass(deployment: uuid.UUID) -> list[FlowRun]:
    """The times of five hours passed, and nobody worked; two more are ahead. The runs of those five, oldest first."""
    now = datetime.now(UTC)
    span = {"start_time": str(now - MISSED * HOUR), "end_time": str(now + AHEAD * HOUR), "min_runs": MISSED + AHEAD}
    with get_client(sync_client=True) as client:
        client.request("POST", "/deployments/{id}/schedule", path_params={"id": deployment}, json=span)
        runs = client.read_flow_runs(deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])))
    assert all(run.auto_scheduled for run in runs)
    assert len(runs) >= MISSED + AHEAD
    due = [run for run in runs if run.expected_start_time and run.expected_start_time <= now]
    return sorted(due, key=lambda run: str(run.expected_start_time))


def work_off(run: FlowRun) -> str:
    """A worker's process for the run; the name of the state that it ends in."""
    run_flow(scheduled, flow_run=run, parameters=run.parameters, return_type="state")
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run.id).state
    assert state
    return state.name or ""


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 4, 0, 3, 1)])
def test_of_five_missed_times_only_the_newest_is_made_up_for(deployment: uuid.UUID, order: Sequence[int]) -> None:
    late = let_time_pass(deployment)
    ends = {number: work_off(late[number]) for number in order}
    assert ends == dict.fromkeys(range(4), SUPERSEDED) | {4: "Completed"}
    assert worked == ["thinkube"]


def test_nor_are_they_when_they_come_all_at_once(deployment: uuid.UUID) -> None:
    late = let_time_pass(deployment)
    with ThreadPoolExecutor(MISSED) as workers:
        ends = [each.result(timeout=60) for each in [workers.submit(copy_context().run, work_off, run) for run in late]]
    assert sorted(ends) == ["Completed"] + 4 * [SUPERSEDED]
    assert worked == ["thinkube"]


def test_a_later_turn_that_is_to_do_something_else_makes_up_for_nothing(deployment: uuid.UUID) -> None:
    other = IntervalSchedule(interval=6 * HOUR, anchor_date=datetime.now(UTC) - HOUR / 4)
    with get_client(sync_client=True) as client:
        added = DeploymentScheduleCreate(schedule=other, active=True, parameters={"profile": "iav-v1"}).model_dump(
            mode="json"
        )
        client.request("POST", "/deployments/{id}/schedules", path_params={"id": deployment}, json=[added])
    late = let_time_pass(deployment)
    assert [run.parameters["profile"] for run in late[-2:]] == ["thinkube", "iav-v1"]
    assert work_off(late[-2]) == work_off(late[-1]) == "Completed"
    assert worked == ["thinkube", "iav-v1"]


def test_of_two_turns_at_the_same_time_one_works(deployment: uuid.UUID) -> None:
    same_time = IntervalSchedule(interval=HOUR, anchor_date=let_time_pass(deployment)[-1].expected_start_time)
    with get_client(sync_client=True) as client:
        client.create_deployment_schedules(deployment, [(same_time, True)])
    ends = [work_off(run) for run in let_time_pass(deployment)]
    assert ends.count("Completed") == 1
    assert worked == ["thinkube"]


def test_a_run_that_somebody_starts_works_whatever_is_due(deployment: uuid.UUID) -> None:
    newest = let_time_pass(deployment)[-1]
    with get_client(sync_client=True) as client:
        by_hand = client.create_flow_run_from_deployment(deployment, tags=["auto-scheduled"])
    assert work_off(by_hand) == "Completed"
    assert work_off(newest) == "Completed", "one that somebody started makes up for no schedule"
    assert len(worked) == 2


def test_a_call_is_no_schedules_turn() -> None:
    worked.clear()
    assert scheduled("thinkube") == "thinkube"
    assert scheduled.fn("iav-v1") == "iav-v1"
    assert worked == ["thinkube", "iav-v1"]


@pytest.mark.parametrize("guarded", [converge, rebuild_image, renew_robots, follow_tags], ids=lambda one: one.name)
def test_the_forms_of_scheduled_flows_are_as_ever(guarded: Flow[Any, Any]) -> None:
    properties = guarded.parameters.model_dump()["properties"]
    assert properties.keys() == inspect.signature(guarded.fn).parameters.keys()
    assert "thinkube" in properties["profile"]["enum"]
    assert all(one["title"][0].isupper() and one["description"].endswith(".") for one in properties.values())
