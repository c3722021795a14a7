"""Approval in Prefect: a deploy waits, paused, for a person's answer to its plan, before it touches anything."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType

import flows.approval as approval
import flows.converge as converging
import flows.deploy as deploying
from tasks.core.change import Action, Change, Plan
from tasks.core.errors import Permanent
from tasks.release.health import Health
from tests.flows.steps import CHANGE, LOOKS, fail, seen, stand_in

Profile = Callable[..., str]
PROFILE = "extends: sandbox-iav-v1\napproval: {timeout: TIMEOUT}\n"
APPROVE = {"decision": "approve", "name": "Ada", "comment": "go"}
REFUSE = {"decision": "refuse", "name": "Grace", "comment": "not on a Friday"}
OTHER = Plan((Change.of(Action.CREATE, "Role hub"),))
FOUND_SECONDS = 30.0


@pytest.fixture
def profile(calls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """A profile that wants approval, within a time; its namespace is there."""
    monkeypatch.setattr(approval, "POLL_SECONDS", 0.2)
    monkeypatch.setattr(deploying, "ensure_namespace", stand_in("ensure_namespace", Plan, calls))

    def write(timeout: str = "60s") -> str:
        file = tmp_path / "approved.yaml"
        file.write_text(PROFILE.replace("TIMEOUT", timeout))
        return str(file)

    return write


class _Person(threading.Thread):
    """Somebody who answers the run that waits, as the UI does, and keeps what they saw of it."""

    def __init__(self, answer: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self._answer = answer
        self.flow_run: FlowRun | None = None
        self.form: dict[str, Any] = {}
        self.text = ""

    def run(self) -> None:
        paused = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED])))
        deadline = time.monotonic() + FOUND_SECONDS
        with get_client(sync_client=True) as client:
            while self.flow_run is None and time.monotonic() < deadline:
                for one in client.read_flow_runs(flow_run_filter=paused):
                    with suppress(httpx.HTTPStatusError):  # its form is not there yet
                        self._look(client, one)
                        client.resume_flow_run(one.id, run_input=self._answer)
                        self.flow_run = one
                time.sleep(0.2)

    def _look(self, client: SyncPrefectClient, run: FlowRun) -> None:
        assert run.state
        keys = run.state.state_details.run_input_keyset
        assert keys
        self.text = json.loads(client.read_flow_run_input(run.id, keys["description"]))
        self.form = json.loads(client.read_flow_run_input(run.id, keys["schema"]))


@contextmanager
def answered(answer: dict[str, str]) -> Generator[_Person]:
    person = _Person(answer)
    person.start()
    yield person
    person.join(FOUND_SECONDS)
    assert person.flow_run, "no run was paused"


def test_an_approved_plan_is_carried_out(calls: list[str], profile: Profile) -> None:
    with answered(APPROVE) as person:
        assert deploying.deploy(profile()).record
    assert "ensure_release" in calls
    assert calls.count("plan_cluster") == 2
    fields = person.form["properties"]
    assert fields["decision"]["enum"] == ["approve", "refuse"]
    assert all(field["title"] and field["description"] for field in fields.values())
    assert set(person.form["required"]) == {"decision", "name"}
    assert "create Namespace jupyterhub-test" in person.text
    assert "plan-sandbox-iav-v1" in person.text


def test_a_refused_plan_touches_nothing_and_says_who_refused_it(calls: list[str], profile: Profile) -> None:
    with answered(REFUSE), pytest.raises(Permanent, match="refused by Grace: not on a Friday"):
        deploying.deploy(profile())
    assert sorted(calls) == sorted(LOOKS)


def test_a_plan_that_nobody_answers_to_touches_nothing(calls: list[str], profile: Profile) -> None:
    with pytest.raises(Permanent, match="nobody approved it within 1s") as raised:
        deploying.deploy(profile("1s"))
    assert "run it again" in raised.value.remedy
    assert sorted(calls) == sorted(LOOKS)


def test_a_plan_that_changed_meanwhile_is_not_carried_out(
    calls: list[str], profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = iter([OTHER, CHANGE + OTHER])
    monkeypatch.setattr(deploying, "plan_cluster", stand_in("plan_cluster", lambda: next(plans), calls))
    with answered(APPROVE), pytest.raises(Permanent, match="new: create Namespace jupyterhub-test; gone: nothing"):
        deploying.deploy(profile())
    assert not {"ensure_cluster", "ensure_release", "restore_release"} & set(calls)


def test_the_namespace_that_the_run_made_for_its_fence_is_no_other_plan(
    calls: list[str], profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = iter([CHANGE + OTHER, OTHER])
    monkeypatch.setattr(deploying, "plan_cluster", stand_in("plan_cluster", lambda: next(plans), calls))
    monkeypatch.setattr(deploying, "ensure_namespace", stand_in("ensure_namespace", lambda: CHANGE, calls))
    with answered(APPROVE):
        assert deploying.deploy(profile()).plan == OTHER


def test_what_another_run_left_to_do_was_approved_by_nobody(
    calls: list[str], profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = iter([Plan(), OTHER])
    monkeypatch.setattr(deploying, "plan_cluster", stand_in("plan_cluster", lambda: next(plans), calls))
    monkeypatch.setattr(deploying, "fence_of", lambda _hub: nullcontext(SimpleNamespace(waited=True)))
    with pytest.raises(Permanent, match="new: create Role hub"):
        deploying.deploy(profile())


def test_nobody_is_asked_for_a_plan_alone_or_for_one_that_is_empty(
    calls: list[str], profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "pause_flow_run", fail(Permanent("approval", "ask", "nobody is to be asked", "")))
    assert not deploying.deploy(profile(), plan_only=True).plan.empty
    monkeypatch.setattr(deploying, "plan_cluster", stand_in("plan_cluster", Plan, calls))
    assert deploying.deploy(profile()).record


def test_a_deploy_inside_of_another_flow_asks_too(
    calls: list[str], back: list[str], profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    fence = SimpleNamespace(waited=False, dead="")
    monkeypatch.setattr(converging, "fence_of", lambda _hub, **_options: nullcontext(fence))
    monkeypatch.setattr(converging, "look_at_health", stand_in("look", lambda: seen(Health.HEALTHY, 2), back))
    with answered(APPROVE) as person:
        result = converging.converge(profile(), repair=True)
    assert result.outcome is converging.Outcome.DEPLOYED
    assert person.flow_run
    assert person.flow_run.parent_task_run_id
    assert "ensure_release" in calls


def test_without_a_server_nobody_could_answer(
    calls: list[str], profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "PREFECT_API_URL", SimpleNamespace(value=lambda: None))
    with pytest.raises(Permanent, match="no Prefect server") as raised:
        deploying.deploy(profile())
    assert "--remote" in raised.value.remedy
    assert sorted(calls) == sorted(LOOKS)


def test_a_long_plan_is_told_in_part(calls: list[str], profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    many = Plan(tuple(Change.of(Action.CREATE, f"Role {number}") for number in range(approval.SHOWN_CHANGES + 7)))
    monkeypatch.setattr(deploying, "plan_cluster", stand_in("plan_cluster", lambda: many, calls))
    with answered(REFUSE) as person, pytest.raises(Permanent):
        deploying.deploy(profile())
    assert "Role 29" in person.text
    assert "Role 30" not in person.text
    assert "and 7 more" in person.text
