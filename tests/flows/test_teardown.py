"""Teardown in Prefect: nothing without the hub's name, and no volume without it a second time."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

import flows.teardown as module
from flows.endings import PLANNED
from tasks.core.change import Plan
from tasks.core.errors import Permanent
from tasks.core.problems import NotReady, Problem
from tests.flows.steps import CHANGE, FENCE, stand_in

HUB = "sandbox-iav-v1"
PLANS = ("plan_monitoring_removal", "plan_release_removal", "plan_cluster_removal")
CHECKS = ("check_removal", "check_monitoring_removal")
REMOVALS = ("remove_monitoring", "remove_release", "remove_cluster")
OTHERS = (
    "plan_volume_removal", "remove_volumes", "plan_keycloak_removal", "remove_client", "plan_registry_removal",
    "remove_from_registry",
)  # fmt: skip


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    for name in (*PLANS, *REMOVALS, *OTHERS, *CHECKS):
        answer = () if name in CHECKS else CHANGE if name.startswith("plan_") else None
        monkeypatch.setattr(module, name, stand_in(name, lambda answer=answer: answer, seen))
    monkeypatch.setattr(module, "fence_of", lambda _hub: nullcontext(FENCE))
    return seen


def test_without_the_hubs_name_there_is_only_a_plan(steps: list[str]) -> None:
    state = module.teardown(HUB, return_state=True)
    assert (state.type, state.name) == ("COMPLETED", PLANNED)
    assert state.result() == CHANGE + CHANGE + CHANGE
    assert sorted(steps) == sorted(PLANS)


def test_with_it_the_volumes_stay(steps: list[str]) -> None:
    module.teardown(HUB, confirm=HUB)
    assert steps[len(PLANS) :] == [*CHECKS, *REMOVALS]


def test_with_it_a_second_time_they_go_at_last(steps: list[str]) -> None:
    module.teardown(HUB, confirm=HUB, volumes=HUB)
    assert "plan_volume_removal" in steps
    assert steps[-1] == "remove_volumes"


def test_a_hub_with_keycloak_and_harbor_loses_what_it_has_there(steps: list[str]) -> None:
    module.teardown("sandbox", confirm="sandbox")
    removed = [step for step in steps if step.startswith("remove_")]
    assert removed == ["remove_monitoring", "remove_release", "remove_client", "remove_from_registry", "remove_cluster"]


def test_the_volumes_alone_confirm_nothing(steps: list[str]) -> None:
    module.teardown(HUB, volumes=HUB)
    assert not [step for step in steps if step.startswith("remove_")]


@pytest.mark.parametrize("given", [{"confirm": "thinkube"}, {"confirm": HUB, "volumes": "yes"}])
def test_another_name_is_refused_before_anything_is_looked_at(steps: list[str], given: dict[str, str]) -> None:
    with pytest.raises(Permanent, match="is not the name of this hub"):
        module.teardown(HUB, **given)
    assert steps == []


def test_a_right_that_is_missing_is_told_before_anything_is_removed(
    steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Problem("permission to delete roles", "this account does not have it", "give it")
    monkeypatch.setattr(module, "check_removal", stand_in("check_removal", lambda: (problem,), steps))
    with pytest.raises(NotReady, match="permission to delete roles"):
        module.teardown(HUB, confirm=HUB)
    assert not [step for step in steps if step.startswith("remove_")]


def test_a_second_teardown_changes_nothing(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PLANS:
        monkeypatch.setattr(module, name, stand_in(name, Plan, steps))
    assert module.teardown(HUB, confirm=HUB).empty
    assert not [step for step in steps if step.startswith("remove_")]
