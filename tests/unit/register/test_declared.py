"""Which deployments a hub has, and what stands in them."""

from __future__ import annotations

from typing import Any

import pytest

from config.profiles import load_profile
from config.spec import Hub
from deployments.register.declared import DeclaredSchedule, declare
from deployments.register.form import form_of, load_flow

IMAGE = f"registry.example.com/platform/flows@sha256:{'a' * 64}"
EVERY_HUB = {"deploy", "rollback", "converge", "teardown"}


def with_changes(profile: str, **changes: Any) -> Hub:
    return Hub.model_validate({**load_profile(profile).model_dump(exclude_unset=True), **changes})


def with_webhook(profile: str) -> Hub:
    document = load_profile(profile).model_dump(exclude_unset=True)
    document["registry"]["harbor"]["webhook"] = {"url": "https://h.example.com/harbor", "authorization": {"env": "A"}}
    return Hub.model_validate(document)


def schedules(hub: Hub) -> dict[str, tuple[DeclaredSchedule, ...]]:
    return {one.flow_name: one.schedules for one in declare(hub.name, hub, IMAGE) if one.schedules}


@pytest.mark.parametrize(
    ("hub", "more"),
    [
        (load_profile("thinkube"), {"rebuild-image", "renew-robots"}),
        (load_profile("iav-v1"), set[str]()),
        (with_webhook("sandbox"), {"rebuild-image", "renew-robots", "follow-tags"}),
    ],
    ids=["thinkube", "iav-v1", "sandbox"],
)
def test_a_hub_has_the_deployments_that_it_has_a_use_for(hub: Hub, more: set[str]) -> None:
    declared = declare(hub.name, hub, IMAGE)
    assert {one.full_name for one in declared} == {f"{flow}/{hub.name}" for flow in EVERY_HUB | more}


def test_each_names_its_own_hub_profile_and_image() -> None:
    for one in declare("my-profile", load_profile("thinkube"), IMAGE):
        assert one.tags == ("hubwright", "hub:thinkube")
        assert one.parameters == {"profile": "my-profile"}
        assert one.work_pool.job_variables == {"image": IMAGE}
        assert one.work_pool.name == ("images" if one.flow_name == "rebuild-image" else "hubs")
        assert "thinkube" in one.description
        assert "{{" not in one.model_dump_json()


def test_no_code_is_pulled() -> None:
    pulled = [one.pull_steps for one in declare("thinkube", load_profile("thinkube"), IMAGE)]
    directory = {"prefect.deployments.steps.set_working_directory": {"directory": "/opt/hubwright"}}
    assert set(map(str, pulled)) == {str((directory,))}


def test_schedules_are_those_of_the_profile_in_its_time_zone() -> None:
    hub = with_changes("thinkube", schedules={"timezone": "Europe/Berlin", "repair": True, "rebuild": "5 1 * * 6"})
    zone = "Europe/Berlin"
    assert schedules(hub) == {
        "converge": (
            DeclaredSchedule(slug="hubwright-drift", cron="0 4 * * *", timezone=zone, parameters={"repair": True}),
        ),
        "rebuild-image": (DeclaredSchedule(slug="hubwright-rebuild", cron="5 1 * * 6", timezone=zone),),
        "renew-robots": (DeclaredSchedule(slug="hubwright-robots", cron="30 3 * * *", timezone=zone),),
    }


def test_what_has_no_schedule_in_the_profile_runs_by_hand_only() -> None:
    assert schedules(with_changes("thinkube", schedules={"drift": None, "rebuild": None, "robots": None})) == {}


def test_tags_are_followed_every_quarter_of_an_hour() -> None:
    (followed,) = schedules(with_webhook("sandbox"))["follow-tags"]
    assert (followed.slug, followed.cron) == ("hubwright-follow", "*/15 * * * *")


@pytest.mark.parametrize("declared", declare("sandbox", with_webhook("sandbox"), IMAGE), ids=lambda one: one.flow_name)
def test_an_entrypoint_is_the_flow_that_it_is_named_after(declared: Any) -> None:
    assert load_flow(declared.entrypoint).name == declared.flow_name


@pytest.mark.parametrize("declared", declare("sandbox", with_webhook("sandbox"), IMAGE), ids=lambda one: one.flow_name)
def test_a_form_has_words_for_every_parameter_and_one_hub_only(declared: Any) -> None:
    form = form_of(declared.entrypoint, declared.parameters)
    assert form["properties"]["profile"]["enum"] == ["sandbox"]
    assert form["properties"]["profile"]["default"] == "sandbox"
    assert form["required"] == []
    for name, described in form["properties"].items():
        assert described["description"].endswith("."), name
        assert described["title"] != name, name
        assert "default" in described, name


def test_the_form_of_one_hub_is_not_that_of_another() -> None:
    first = form_of("flows.deploy.deploy", {"profile": "one"})
    assert form_of("flows.deploy.deploy", {"profile": "two"})["properties"]["profile"]["enum"] == ["two"]
    assert first["properties"]["profile"]["enum"] == ["one"]


def test_every_schedule_gives_parameters_that_its_flow_has() -> None:
    for one in declare("sandbox", with_webhook("sandbox"), IMAGE):
        known = form_of(one.entrypoint, one.parameters)["properties"].keys()
        assert {name for schedule in one.schedules for name in schedule.parameters} <= known
