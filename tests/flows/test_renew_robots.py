"""The renew-robots flow: it looks, and writes only when something has to be put right."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

import flows.renew_robots as module
from flows import registry
from tasks.core.change import Action, Change, Plan
from tasks.core.problems import NotReady, Problem
from tests.flows.steps import stand_in

ENDING = Plan((Change.of(Action.UPDATE, "Robot sandbox-build", "good until 2026-12-01", "good for 90 days"),))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    for name in ("ensure_namespace", "set_up_harbor"):
        monkeypatch.setattr(registry, name, stand_in(name, lambda: None, seen))
    monkeypatch.setattr(registry, "fence_of", lambda _hub: nullcontext(SimpleNamespace(check=lambda: None)))
    return seen


@pytest.mark.parametrize(("plan", "written"), [(Plan(), []), (ENDING, ["ensure_namespace", "set_up_harbor"])])
def test_only_what_is_about_to_end_is_renewed(
    calls: list[str], plan: Plan, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "look_at_harbor", lambda _hub, _looks: plan)
    assert module.renew_robots("sandbox") == plan
    assert calls == written


def test_a_robot_that_somebody_disabled_stops_the_run(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def look(_hub: object, looks: Any) -> Plan:
        looks.add((Problem("Robot sandbox-build", "somebody disabled it", "enable it"),))
        return ENDING

    monkeypatch.setattr(module, "look_at_harbor", look)
    with pytest.raises(NotReady, match="somebody disabled it"):
        module.renew_robots("sandbox")
    assert calls == []


def test_a_hub_whose_images_are_only_read_has_nothing_to_renew(calls: list[str]) -> None:
    assert module.renew_robots("sandbox-iav-v1").empty
    assert calls == []
