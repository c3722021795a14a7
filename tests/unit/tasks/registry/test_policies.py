"""Retention, immutable tags and webhook: ours as the profile says, those of other people as they were."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from tasks.registry.parsing import parse_policy
from tasks.registry.policies import fits, immutable_rule, other_schedule, plan_policies, release_tag, retention, webhook
from tasks.registry.state import SeenHarbor, SeenProject
from tests.harbors import harbor_with, hub_with

HUB = hub_with()
NONE = SeenHarbor(False, True, project=SeenProject(1, 1, None))
OURS = dict((harbor_with(HUB).retention or {})["rules"][0])
ALWAYS = {"id": 3, "action": "retain", "template": "always", "tag_selectors": [], "scope_selectors": {}}
OTHER_TAGS = {**OURS, "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "keep-*"}]}
OTHER_REPOSITORY = {
    **OURS,
    "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]},
}
SECRET = SecretStr("Bearer marker")
HOOK = {"url": "https://hooks.example.internal/harbor", "authorization": {"env": "HOOK"}}
HOOKED = hub_with(webhook=HOOK)


def seen_with(*rules: dict[str, Any], cron: str = "0 0 3 * * *") -> SeenHarbor:
    trigger = {"kind": "Schedule", "settings": {"cron": cron}, "references": {"job_id": 9}}
    scope = {"level": "project", "ref": 1}
    policy = {"id": 7, "algorithm": "or", "rules": list(rules), "trigger": trigger, "scope": scope}
    return harbor_with(HUB, retention=policy)


RETENTIONS: dict[str, tuple[SeenHarbor, list[str]]] = {
    "as it should be": (seen_with(OURS), []),
    "as Harbor writes it": (seen_with({**OURS, "id": 1, "priority": 1, "disabled": False}), []),
    "without what is false": (seen_with({k: v for k, v in OURS.items() if k != "disabled"}), []),
    "with others": (seen_with(ALWAYS, OURS, OTHER_TAGS), []),
    "none": (
        NONE,
        [
            "create Retention of tools/base-notebook: nothing -> the newest 10",
            "create Retention schedule: nothing -> 0 0 3 * * *",
        ],
    ),
    "only others'": (
        seen_with(ALWAYS, OTHER_TAGS, OTHER_REPOSITORY),
        ["create Retention of tools/base-notebook: nothing -> the newest 10"],
    ),
    "another number": (
        seen_with({**OURS, "params": {"latestPushedK": 3}}),
        ["update Retention of tools/base-notebook: the newest 3 -> the newest 10"],
    ),
    "disabled": (
        seen_with({**OURS, "disabled": True}),
        ["update Retention of tools/base-notebook: the newest 10, disabled -> the newest 10"],
    ),
    "twice": (
        seen_with(OURS, {**OURS, "params": {"latestPushedK": 3}}),
        ["update Retention of tools/base-notebook: the newest 10; the newest 3 -> the newest 10"],
    ),
    "another schedule": (
        seen_with(OURS, cron="0 0 4 * * *"),
        ["update Retention schedule: 0 0 4 * * * -> 0 0 3 * * *"],
    ),
    "another schedule that others wait for": (seen_with(OURS, ALWAYS, cron="0 0 4 * * *"), []),
    "no schedule": (seen_with(OURS, ALWAYS, cron=""), ["create Retention schedule: nothing -> 0 0 3 * * *"]),
}


@pytest.mark.parametrize("case", RETENTIONS)
def test_retention_by_what_is_there(case: str) -> None:
    seen, changes = RETENTIONS[case]
    found = retention(HUB, seen)
    assert [str(change) for change in found.plan] == changes
    assert found.wanted
    theirs = [
        rule for rule in (seen.retention or {}).get("rules", ()) if rule in (ALWAYS, OTHER_TAGS, OTHER_REPOSITORY)
    ]
    assert [rule for rule in found.wanted["rules"] if rule in theirs] == theirs
    assert len(found.wanted["rules"]) == len(theirs) + 1
    assert found.wanted["scope"] == {"level": "project", "ref": 1}
    assert found.wanted["trigger"]["settings"]["cron"]
    assert retention(HUB, harbor_with(HUB, retention=found.wanted)).plan.empty


def test_without_retention_our_rule_goes_and_others_stay() -> None:
    keeps_all = hub_with(retention=None)
    found = retention(keeps_all, seen_with(ALWAYS, OURS))
    assert [str(change) for change in found.plan] == [
        "delete Retention of tools/base-notebook: the newest 10 -> nothing"
    ]
    assert found.wanted
    assert found.wanted["rules"] == [ALWAYS]
    assert retention(keeps_all, seen_with(ALWAYS)).plan.empty
    assert retention(keeps_all, NONE).plan.empty


def test_a_schedule_of_others_is_told_and_only_then() -> None:
    assert other_schedule(HUB, seen_with(OURS, ALWAYS, cron="0 0 4 * * *")) == "0 0 4 * * *"
    assert other_schedule(HUB, seen_with(OURS, cron="0 0 4 * * *")) is None
    assert other_schedule(HUB, seen_with(OURS, ALWAYS)) is None
    assert other_schedule(HUB, NONE) is None


def test_tags_of_releases_are_immutable_in_our_repository() -> None:
    made = immutable_rule(HUB, NONE)
    assert [str(change) for change in made.plan] == ["create Immutable tags release-* of tools/base-notebook"]
    assert made.wanted
    assert made.wanted["scope_selectors"]["repository"][0]["pattern"] == "tools/base-notebook"
    other = {**made.wanted, "id": 1, "scope_selectors": OTHER_REPOSITORY["scope_selectors"]}
    assert not immutable_rule(HUB, harbor_with(HUB, immutable_rules=(other,))).plan.empty
    off = {**made.wanted, "id": 2, "disabled": True}
    again = immutable_rule(HUB, harbor_with(HUB, immutable_rules=(other, off)))
    assert (again.id, [str(change) for change in again.plan]) == (
        2,
        ["update Immutable tags release-* of tools/base-notebook: disabled -> enabled"],
    )
    assert immutable_rule(HUB, harbor_with(HUB)).plan.empty


def test_a_releases_tag_is_named_by_its_digest() -> None:
    assert release_tag("sha256:" + "ab" * 32) == "release-abababababab"


def hooked(**changed: Any) -> SeenHarbor:
    wanted = webhook(HOOKED, NONE, SECRET).wanted or {}
    other = {**wanted, "id": 1, "name": "theirs"}
    return harbor_with(HOOKED, policies=tuple(parse_policy(one) for one in (other, {**wanted, "id": 2, **changed})))


TARGET: dict[str, Any] = (webhook(HOOKED, NONE, SECRET).wanted or {})["targets"][0]
HOOKS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "as it should be": ({}, []),
    "in another order": ({"event_types": ["DELETE_ARTIFACT", "PUSH_ARTIFACT", "SCANNING_COMPLETED"]}, []),
    "without what is false": ({"targets": [{k: v for k, v in TARGET.items() if k != "skip_cert_verify"}]}, []),
    "disabled": ({"enabled": False}, ["update Webhook hubwright-lab enabled: False -> True"]),
    "fewer events": (
        {"event_types": ["PUSH_ARTIFACT"]},
        [
            "update Webhook hubwright-lab event_types: ['PUSH_ARTIFACT'] -> "
            "['PUSH_ARTIFACT', 'SCANNING_COMPLETED', 'DELETE_ARTIFACT']"
        ],
    ),
    "elsewhere, unverified": (
        {"targets": [{**TARGET, "address": "http://x", "skip_cert_verify": True}]},
        [
            "update Webhook hubwright-lab address: http://x -> https://hooks.example.internal/harbor",
            "update Webhook hubwright-lab skip_cert_verify: True -> False",
        ],
    ),
    "another secret": (
        {"targets": [{**TARGET, "auth_header": "Bearer other-marker"}]},
        ["update Webhook hubwright-lab authorization: (hidden) -> (hidden)"],
    ),
    "more targets": ({"targets": [TARGET, TARGET]}, ["update Webhook hubwright-lab targets: 2 -> 1"]),
}


@pytest.mark.parametrize("case", HOOKS)
def test_a_webhook_by_what_is_there(case: str) -> None:
    changed, changes = HOOKS[case]
    seen = hooked(**changed)
    found = webhook(HOOKED, seen, SECRET)
    assert [str(change) for change in found.plan] == changes
    assert found.id in (2, None)
    assert "marker" not in repr(seen) + repr(found)


def test_a_webhook_is_made_with_its_secret_and_taken_away_without_a_look_at_others() -> None:
    made = webhook(HOOKED, NONE, SECRET)
    assert [str(change) for change in made.plan] == [
        "create Webhook hubwright-lab: nothing -> https://hooks.example.internal/harbor"
    ]
    assert made.wanted
    assert made.wanted["targets"] == [
        {
            "type": "http",
            "address": "https://hooks.example.internal/harbor",
            "skip_cert_verify": False,
            "payload_format": "CloudEvents",
            "auth_header": "Bearer marker",
        }
    ]
    gone = webhook(HUB, hooked(), None)
    assert (gone.wanted, gone.id, [str(change) for change in gone.plan]) == (None, 2, ["delete Webhook hubwright-lab"])
    assert webhook(HUB, NONE, None).plan.empty


def test_everything_as_it_should_be_is_nothing_to_do() -> None:
    assert plan_policies(HUB, harbor_with(HUB), None).empty
    assert len(list(plan_policies(HOOKED, NONE, SECRET))) == 4


@pytest.mark.parametrize(
    ("want", "have", "fit"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": False}, {}, True),
        ({"a": []}, {"a": None}, True),
        ({"a": 1}, {}, False),
        ({"a": {"b": 1}}, {"a": None}, False),
        ([1], [1, 2], False),
        ([{"a": 1}], [{"a": 1, "b": 1}], True),
        ([1], None, False),
    ],
)
def test_what_is_there_has_what_is_wanted(want: Any, have: Any, fit: bool) -> None:
    assert fits(want, have) is fit
