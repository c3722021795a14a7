"""Robots as they stand, what a run would do about it, and the Secrets that keep their logins."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from tasks.core.errors import Permanent
from tasks.core.login import Login
from tasks.registry.parsing import parse_robot, parse_vulnerabilities
from tasks.registry.plan import plan_project, plan_robots, wanted_robot, wanted_secret
from tasks.registry.state import (
    ACCESS,
    KeptLogin,
    Kind,
    RobotStatus,
    SeenHarbor,
    kept_credential,
    place_of,
    status_of,
)
from tests.harbors import NOW, credential_of, harbor_with, hub_with, kept_of, robot_with

HUB = hub_with()
TODAY = int(NOW.timestamp())
DAY = 86400
NEVER = -1

ROBOTS: dict[str, tuple[dict[str, Any], RobotStatus, str, list[str]]] = {
    "good": ({}, RobotStatus.GOOD, "it is good until 2027-02-11", []),
    "disabled": ({"disabled": True}, RobotStatus.DISABLED, "somebody disabled it", []),
    "disabled and expired": ({"disabled": True, "expires_at": 1}, RobotStatus.DISABLED, "somebody disabled it", []),
    "expired": (
        {"expires_at": TODAY},
        RobotStatus.EXPIRED,
        "it expired on 2026-11-23",
        [
            "update Robot lab-build: it expired on 2026-11-23 -> made anew, good for 90 days",
            "update Secret hubwright-build-robot: (hidden) -> (hidden)",
        ],
    ),
    "ending": (
        {"expires_at": TODAY + 30 * DAY - 1},
        RobotStatus.ENDING,
        "its time ends on 2026-12-23",
        [
            "update Robot lab-build: its time ends on 2026-12-23 -> made anew, good for 90 days",
            "update Secret hubwright-build-robot: (hidden) -> (hidden)",
        ],
    ),
    "not yet ending": ({"expires_at": TODAY + 30 * DAY}, RobotStatus.GOOD, "it is good until 2026-12-23", []),
    "never ending, and young": (
        {"expires_at": NEVER, "duration": NEVER},
        RobotStatus.DRIFTED,
        "it is good for -1 days, and robot_days is 90",
        ["update Robot lab-build days: -1 -> 90"],
    ),
    "never ending, and old": (
        {"expires_at": NEVER, "duration": NEVER, "created": NOW - timedelta(days=61)},
        RobotStatus.ENDING,
        "its time ends on 2026-12-22",
        [
            "update Robot lab-build: its time ends on 2026-12-22 -> made anew, good for 90 days",
            "update Secret hubwright-build-robot: (hidden) -> (hidden)",
        ],
    ),
    "may too much": (
        {"access": ACCESS[Kind.PULL] | {"artifact:delete"}},
        RobotStatus.DRIFTED,
        "it may do more, or less, than it should",
        [
            "update Robot lab-build rights: artifact:delete, repository:pull -> "
            + ", ".join(sorted(ACCESS[Kind.BUILD]))[:119]
            + "…"
        ],
    ),
}


@pytest.mark.parametrize("case", ROBOTS)
def test_a_robot_by_its_status(case: str) -> None:
    changed, status, reason, changes = ROBOTS[case]
    seen = harbor_with(HUB, {Kind.BUILD: changed})
    assert status_of(HUB, seen, Kind.BUILD, NOW) == (status, reason)
    assert status_of(HUB, seen, Kind.PULL, NOW)[0] is RobotStatus.GOOD
    assert [str(change) for change in plan_robots(HUB, seen, NOW)] == changes


def test_robots_that_are_not_there_are_made_and_so_are_project_and_secrets() -> None:
    empty = SeenHarbor(False, True)
    assert [str(change) for change in plan_project(HUB, empty)] == ["create Project iav: nothing -> private"]
    assert [str(change) for change in plan_robots(HUB, empty, NOW)] == [
        "create Robot lab-build: nothing -> good for 90 days",
        "create Secret hubwright-build-robot: nothing -> (hidden)",
        "create Robot lab-pull: nothing -> good for 90 days",
        "create Secret hubwright-pull: nothing -> (hidden)",
    ]
    assert plan_project(HUB, harbor_with(HUB)).empty


@pytest.mark.parametrize("body", [None, {"type": "Opaque"}])
def test_a_robot_whose_login_is_lost_is_made_anew(body: Any) -> None:
    kept = {**kept_of(HUB), Kind.PULL: KeptLogin(body, None, "there is no Secret hubwright-pull")}
    seen = harbor_with(HUB, kept=kept)
    assert status_of(HUB, seen, Kind.PULL, NOW) == (RobotStatus.LOCKED_OUT, "there is no Secret hubwright-pull")
    actions = [change.action for change in plan_robots(HUB, seen, NOW)]
    assert actions == ["update", "update" if body else "create"]


def test_a_secret_that_lets_in_and_is_written_otherwise_is_put_right() -> None:
    body = dict(kept_of(HUB)[Kind.BUILD].body or {})
    body["data"] = {**body["data"], "username": base64.b64encode(b"other").decode()}
    kept = {**kept_of(HUB), Kind.BUILD: KeptLogin(body, credential_of(HUB, Kind.BUILD), "")}
    [change] = plan_robots(HUB, harbor_with(HUB, kept=kept), NOW)
    assert str(change) == "update Secret hubwright-build-robot data.username: (hidden) -> (hidden)"


def test_robots_of_another_hub_and_of_another_prefix_are_told_apart() -> None:
    renamed = {kind: {"name": f"bot-{credential_of(HUB, kind).user.removeprefix('robot$')}"} for kind in Kind}
    seen = harbor_with(HUB, renamed)
    assert seen.robot(HUB, Kind.BUILD)
    assert seen.robot(hub_with("other"), Kind.BUILD) is None


def test_a_robot_is_asked_for_with_few_rights_in_its_project_alone() -> None:
    wanted = wanted_robot(HUB, Kind.PULL)
    assert (wanted["name"], wanted["level"], wanted["duration"]) == ("lab-pull", "project", 90)
    access = [{"resource": "repository", "action": "pull"}]
    assert wanted["permissions"] == [{"kind": "project", "namespace": "iav", "access": access}]
    build = {f"{one['resource']}:{one['action']}" for one in wanted_robot(HUB, Kind.BUILD)["permissions"][0]["access"]}
    assert build == ACCESS[Kind.BUILD]
    assert not {pair for pair in build if pair.endswith((":delete", ":update", ":stop"))}


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("secret", ["plain", "with:colon", 'with "quotes" and ü'])
def test_what_a_secret_keeps_can_be_read_from_it_and_is_not_shown(kind: Kind, secret: str) -> None:
    credential = Login("robot$iav+lab", SecretStr(secret))
    wanted = wanted_secret(HUB, kind, credential)
    assert kept_credential(kind, wanted.body, place_of(HUB).host) == credential
    assert wanted.fields["type"] == kind.secret_type
    assert secret not in repr(wanted)
    assert secret not in repr(KeptLogin(wanted.body, credential, ""))


def test_a_pull_secret_is_as_nodes_read_it() -> None:
    wanted = wanted_secret(HUB, Kind.PULL, Login("robot$iav+lab-pull", SecretStr("s")))
    document = json.loads(base64.b64decode(wanted.fields["data"][".dockerconfigjson"]))
    auth = base64.b64encode(b"robot$iav+lab-pull:s").decode()
    assert document == {"auths": {"registry.example.com": {"auth": auth}}}


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    "data",
    [
        None, {}, {"username": "!", "password": "!"}, {"username": "", "password": ""},
        {".dockerconfigjson": "bm90IGpzb24="}, {".dockerconfigjson": base64.b64encode(b"[]").decode()},
        {".dockerconfigjson": base64.b64encode(b'{"auths": {"other": {"auth": "eDp5"}}}').decode()},
        {"username": "/w==", "password": "/w=="},
    ],
)  # fmt: skip
def test_a_secret_that_keeps_no_login_is_no_login(kind: Kind, data: Any) -> None:
    assert kept_credential(kind, {"data": data}, "registry.example.com") is None
    assert kept_credential(kind, None, "registry.example.com") is None


@pytest.mark.parametrize(
    ("reference", "project", "repository"),
    [("r.io/iav/notebook:v1", "iav", "notebook"), ("r.io:5000/iav/tools/notebook:v1", "iav", "tools/notebook")],
)
def test_the_first_part_of_an_images_path_is_the_project(reference: str, project: str, repository: str) -> None:
    place = place_of(hub_with(reference=reference))
    assert (place.project, place.repository) == (project, repository)


def test_an_image_in_no_project_is_told() -> None:
    with pytest.raises(Permanent, match="notebook is in none"):
        place_of(hub_with(reference="r.io/notebook:v1"))


def test_a_right_that_is_denied_to_a_robot_is_none() -> None:
    access = [
        {"resource": "repository", "action": "pull", "effect": "allow"},
        {"resource": "artifact", "action": "delete", "effect": "deny"},
    ]
    about = {"id": 1, "name": "robot$iav+x", "creation_time": "2026-11-23T10:00:00.123Z", "expires_at": -1}
    robot = parse_robot({**about, "permissions": [{"kind": "project", "namespace": "iav", "access": access}]})
    assert robot.access == ACCESS[Kind.PULL]
    assert robot.created == NOW.replace(hour=10, microsecond=123000)


@pytest.mark.parametrize("document", [{}, {"m": None}, {"m": {}}, {"m": {"vulnerabilities": None}}])
def test_a_report_of_nothing_has_no_vulnerabilities(document: Any) -> None:
    assert list(parse_vulnerabilities(document)) == []


def test_a_severity_that_nobody_knows_is_unknown() -> None:
    [found] = parse_vulnerabilities({"m": {"vulnerabilities": [{"id": "x", "severity": "Odd", "links": None}]}})
    assert (found.severity, found.link, found.package) == ("Unknown", "", "")


def test_everything_as_it_should_be_is_nothing_to_do() -> None:
    assert plan_robots(HUB, harbor_with(HUB), NOW).empty
    assert robot_with(HUB, Kind.BUILD).access == ACCESS[Kind.BUILD]
