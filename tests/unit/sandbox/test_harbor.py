"""What Harbor's stand-in decides without asking anybody: patterns, rights, what retention keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployments.sandbox.harbor.retention import retained
from deployments.sandbox.harbor.rights import ROBOT_PAIRS, ROLES, Caller, fault_of, may, within
from deployments.sandbox.harbor.selectors import is_immutable, matches, selects_repository, selects_tags
from deployments.sandbox.harbor.store import Store

PRIVATE = {"id": 1, "name": "iav", "metadata": {"public": "false"}}
PUBLIC = {"id": 2, "name": "open", "metadata": {"public": "true"}}
PULL, PUSH, DELETE = (("repository", action) for action in ("pull", "push", "delete"))


def permission(namespace: str, *pairs: tuple[str, str], kind: str = "project") -> dict[str, Any]:
    return {"kind": kind, "namespace": namespace, "access": [{"resource": one, "action": two} for one, two in pairs]}


def robot(level: str, *permissions: dict[str, Any]) -> Caller:
    return Caller("robot$x", robot={"level": level, "permissions": list(permissions)})


@pytest.mark.parametrize(("pattern", "text", "expected"), [
    ("**", "a/b", True), ("*", "a/b", False), ("*", "ab", True), ("v*", "v1", True), ("v*", "w1", False),
    ("v?", "v1", True), ("v?", "v12", False), ("{a,b*}", "bcd", True), ("{a,b*}", "c", False), ("a,b", "a", False),
    ("a.b", "axb", False), ("inputs-**", "inputs-0f", True),
])  # fmt: skip
def test_a_pattern_means_what_doublestar_means(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern, text) is expected


def test_a_selector_takes_or_leaves_tags_and_says_what_of_images_without_one() -> None:
    takes = {"decoration": "matches", "pattern": "v*"}
    assert selects_tags(takes, ["x", "v1"])
    assert not selects_tags(takes, ["x"])
    assert not selects_tags({**takes, "decoration": "excludes"}, ["v1"])
    assert selects_tags(takes, [])
    assert not selects_tags({**takes, "extras": '{"untagged": false}'}, [])


def test_only_the_first_selectors_of_an_immutable_rule_count() -> None:
    tags = [{"decoration": "matches", "pattern": pattern} for pattern in ("kept", "other")]
    scopes = {"repository": [{"decoration": "repoMatches", "pattern": "base-*"}]}
    rule = {"tag_selectors": tags, "scope_selectors": scopes}
    assert is_immutable([rule], "base-notebook", "kept")
    assert not is_immutable([rule], "base-notebook", "other")
    assert not is_immutable([rule], "tool", "kept")
    assert not is_immutable([{**rule, "disabled": True}], "base-notebook", "kept")
    assert selects_repository({"scope_selectors": {}}, "tool")


def test_a_robot_may_what_it_was_given_in_the_project_it_was_given_it_for() -> None:
    one = robot("project", permission("iav", PUSH))
    assert may(one, PUSH, PRIVATE, [])
    assert may(one, PULL, PRIVATE, [])
    assert not may(one, DELETE, PRIVATE, [])
    assert not may(one, PUSH, PUBLIC, [])
    everywhere = robot("system", permission("*", PUSH), permission("/", ("project", "create"), kind="system"))
    assert may(everywhere, PUSH, PUBLIC, [])
    assert not may(everywhere, PULL, PRIVATE, [])
    assert may(everywhere, ("project", "create"), None, [])
    assert not may(one, ("project", "create"), None, [])


def test_people_may_what_their_role_says_and_anybody_pulls_what_is_public() -> None:
    person = Caller("person", user={"id": 1})
    assert may(person, ("robot", "update"), PRIVATE, [1])
    assert may(person, PUSH, PRIVATE, [2])
    assert not may(person, PUSH, PRIVATE, [3])
    assert not may(person, PULL, PRIVATE, [])
    assert not may(person, ("quota", "update"), None, [1])
    assert may(Caller(), PULL, PUBLIC, [])
    assert not may(Caller(), PUSH, PUBLIC, [])


def test_no_robot_can_be_given_the_right_to_renew_one() -> None:
    assert ("robot", "update") not in ROBOT_PAIRS["project"] | ROBOT_PAIRS["system"]
    assert fault_of("project", [permission("iav", ("robot", "update"))]) == "bad request permission: robot:update"
    assert ("robot", "update") in ROLES[1]
    assert fault_of("project", [permission("iav", PULL)]) == ""


def test_a_robot_gives_another_no_more_than_it_has() -> None:
    own = [permission("*", PULL, PUSH)]
    assert within([permission("iav", PULL)], own)
    assert not within([permission("iav", DELETE)], own)
    assert not within([permission("/", PULL, kind="system")], own)


def test_retention_counts_and_dates() -> None:
    rows = [
        {
            "id": place,
            "tags": [f"v{place}"],
            "push_time": f"2026-01-0{place}T00:00:00Z",
            "pull_time": "0001-01-01T00:00:00Z",
        }
        for place in (1, 2, 3)
    ]
    rule = {"tag_selectors": [{"decoration": "matches", "pattern": "v*"}]}
    moment = "2026-01-03T12:00:00Z"
    assert retained({**rule, "template": "latestPushedK", "params": {"latestPushedK": 2}}, rows, moment) == {2, 3}
    dated = {**rule, "template": "nDaysSinceLastPush", "params": {"nDaysSinceLastPush": 1}}
    assert retained(dated, rows, moment) == {3}
    assert retained({**rule, "template": "always"}, rows, moment) == {1, 2, 3}
    assert (
        retained({**rule, "template": "nDaysSinceLastPull", "params": {"nDaysSinceLastPull": 9}}, rows, moment) == set()
    )


def test_what_is_remembered_outlives_the_process_and_ids_are_not_used_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "harbor.json")
    store.add("robots", name="one")
    store.remove("robots", name="one")
    store.save()
    again = Store(tmp_path / "harbor.json")
    assert again.rows("robots") == []
    assert again.add("robots", name="two")["id"] == 2
    assert (tmp_path / "harbor.json").stat().st_mode & 0o777 == 0o600
