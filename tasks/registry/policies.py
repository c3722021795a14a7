"""Phase registry, what the project does by itself as it should be: retention, tags that stay, webhook. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import SecretStr

from config.spec import Hub
from tasks.core.change import Action, Change, Plan
from tasks.registry.state import Fields, SeenHarbor, SeenPolicy, harbor_of, place_of

RELEASE_TAGS = "release-*"
"""Tags of images that a release names: whatever else is said, Harbor keeps them, and moves none."""
TAG_DIGITS = 12
NEWEST = "latestPushedK"
EVENTS = ("PUSH_ARTIFACT", "SCANNING_COMPLETED", "DELETE_ARTIFACT")


@dataclass(frozen=True)
class Ours:
    """One document of Harbor's as it should be, and what of it would change; ``id`` where it is there already.

    Without ``wanted`` it should not be there. Nothing is to do when the plan is empty.
    """

    plan: Plan
    wanted: Fields | None = field(default=None, repr=False)
    """Of a webhook, with its secret in it."""
    id: int | None = None


def release_tag(digest: str) -> str:
    """The tag by which an image that a release names stays."""
    return f"release-{digest.removeprefix('sha256:')[:TAG_DIGITS]}"


def plan_policies(hub: Hub, seen: SeenHarbor, authorization: SecretStr | None) -> Plan:
    """What ``ensure_policies`` would change. What other people set stays."""
    return retention(hub, seen).plan + immutable_rule(hub, seen).plan + webhook(hub, seen, authorization).plan


def retention(hub: Hub, seen: SeenHarbor) -> Ours:
    """The project's retention policy with our rule in it, beside those of other people and hubs."""
    part, policy = harbor_of(hub).retention, dict(seen.retention or {})
    ours, others = _rules(hub, seen)
    if part is None:
        return _without_retention(hub, seen, ours, others)
    rule, seen_schedule = _wanted_rule(hub, part.newest), _seen_schedule(seen)
    # There is one schedule for all rules of a project: one that others' rules wait for stays.
    schedule = (seen_schedule if others else "") or part.schedule
    changes = _rule_changes(hub, rule, ours)
    if schedule != seen_schedule:
        action = Action.UPDATE if seen_schedule else Action.CREATE
        changes.append(Change.of(action, "Retention schedule", seen_schedule, schedule))
    wanted = {
        **policy,
        "algorithm": "or",
        "rules": [*others, rule],
        # Harbor takes neither for granted: without one of them it fails.
        "trigger": {**(policy.get("trigger") or {}), "kind": "Schedule", "settings": {"cron": schedule}},
        "scope": {"level": "project", "ref": seen.project.id if seen.project else 0},
    }
    return Ours(Plan(tuple(changes)), wanted, _retention_id(seen))


def other_schedule(hub: Hub, seen: SeenHarbor) -> str | None:
    """The schedule that rests on other people's rules and is not the profile's; None where there is none such."""
    part, found = harbor_of(hub).retention, _seen_schedule(seen)
    _, others = _rules(hub, seen)
    return found if part and others and found and found != part.schedule else None


def immutable_rule(hub: Hub, seen: SeenHarbor) -> Ours:
    """Our rule: in this repository, nobody moves or deletes a tag of a release, retention neither."""
    wanted: dict[str, Any] = {
        "disabled": False,
        "action": "immutable",
        "template": "immutable_template",
        "tag_selectors": [_selector("matches", RELEASE_TAGS)],
        "scope_selectors": {"repository": [_selector("repoMatches", place_of(hub).repository)]},
    }
    title = f"Immutable tags {RELEASE_TAGS} of {place_of(hub).repository}"
    selecting = {key: wanted[key] for key in ("tag_selectors", "scope_selectors")}
    found = next((rule for rule in seen.immutable_rules if fits(selecting, rule)), None)
    if found is None:
        return Ours(Plan((Change.of(Action.CREATE, title),)), wanted)
    if not found.get("disabled"):
        return Ours(Plan())
    changed = {**wanted, "id": found["id"]}
    return Ours(Plan((Change.of(Action.UPDATE, title, "disabled", "enabled"),)), changed, int(found["id"]))


def webhook(hub: Hub, seen: SeenHarbor, authorization: SecretStr | None) -> Ours:
    """Our webhook policy, by its name; ``authorization`` is what its target sends, where the profile has one."""
    part, name, found = harbor_of(hub).webhook, _webhook_name(hub), own_webhook(hub, seen)
    title = f"Webhook {name}"
    if part is None:
        return Ours(Plan((Change.of(Action.DELETE, title),)), None, found.id) if found else Ours(Plan())
    assert authorization
    target = {"type": "http", "address": part.url, "skip_cert_verify": False, "payload_format": part.payload_format}
    described = f"Hubwright's, for hub {hub.name}"
    plain: dict[str, Any] = {"name": name, "description": described, "enabled": True, "event_types": list(EVENTS)}
    whole = {**plain, "targets": [{**target, "auth_header": authorization.get_secret_value()}]}
    if found is None:
        return Ours(Plan((Change.of(Action.CREATE, title, "", part.url),)), whole)
    changes = (*_field_changes(title, plain, target, found), *_secret_changes(title, authorization, found))
    return Ours(Plan(changes), whole, found.id)


def own_webhook(hub: Hub, seen: SeenHarbor) -> SeenPolicy | None:
    """The webhook policy that is the hub's, by its name; None when there is none."""
    return next((policy for policy in seen.policies if policy.fields.get("name") == _webhook_name(hub)), None)


def _webhook_name(hub: Hub) -> str:
    return f"hubwright-{hub.name}"


def fits(want: Any, have: Any) -> bool:
    """Whether everything that is wanted is there; Harbor leaves out what is empty, and adds what it likes."""
    if isinstance(want, Mapping):
        there = cast("Fields", have) if isinstance(have, Mapping) else {}
        return all(fits(value, there.get(key)) for key, value in cast("Fields", want).items())
    if isinstance(want, list):
        wants, haves = cast("list[Any]", want), cast("list[Any]", have) if isinstance(have, list) else []
        return len(wants) == len(haves) and all(fits(one, other) for one, other in zip(wants, haves, strict=True))
    return want == have or (not want and not have)


def _wanted_rule(hub: Hub, newest: int) -> dict[str, Any]:
    # An image without a tag counts among the newest like any other: it may be one that is being pushed.
    tags = {**_selector("matches", "**"), "extras": '{"untagged":true}'}
    return {
        "disabled": False,
        "action": "retain",
        "template": NEWEST,
        "params": {NEWEST: newest},
        "tag_selectors": [tags],
        "scope_selectors": {"repository": [_selector("repoMatches", place_of(hub).repository)]},
    }


def _is_ours(hub: Hub, rule: Fields) -> bool:
    """Rules have no names: ours is the one that counts the newest of this repository alone, whatever their tags."""
    wanted = _wanted_rule(hub, 0)
    about = {key: wanted[key] for key in ("template", "scope_selectors")}
    return fits({**about, "tag_selectors": [_selector("matches", "**")]}, rule)


def _rules(hub: Hub, seen: SeenHarbor) -> tuple[list[Fields], list[Fields]]:
    """Rules of the project's policy: ours, and those of others."""
    rules: Sequence[Fields] = (seen.retention or {}).get("rules") or ()
    return [rule for rule in rules if _is_ours(hub, rule)], [rule for rule in rules if not _is_ours(hub, rule)]


def _without_retention(hub: Hub, seen: SeenHarbor, ours: Sequence[Fields], others: Sequence[Fields]) -> Ours:
    if not ours:
        return Ours(Plan())
    change = Change.of(Action.DELETE, _title(hub), _newest(ours[0]))
    return Ours(Plan((change,)), {**(seen.retention or {}), "rules": others}, _retention_id(seen))


def _rule_changes(hub: Hub, rule: Fields, ours: Sequence[Fields]) -> list[Change]:
    if not ours:
        return [Change.of(Action.CREATE, _title(hub), "", _newest(rule))]
    if len(ours) > 1 or not fits(rule, ours[0]):
        return [Change.of(Action.UPDATE, _title(hub), "; ".join(map(_newest, ours)), _newest(rule))]
    return []


def _title(hub: Hub) -> str:
    return f"Retention of {place_of(hub).repository}"


def _newest(rule: Fields) -> str:
    return f"the newest {(rule.get('params') or {}).get(NEWEST)}{', disabled' if rule.get('disabled') else ''}"


def _seen_schedule(seen: SeenHarbor) -> str:
    trigger = (seen.retention or {}).get("trigger") or {}
    return str((trigger.get("settings") or {}).get("cron") or "")


def _retention_id(seen: SeenHarbor) -> int | None:
    return seen.project.retention_id if seen.project else None


def _selector(decoration: str, pattern: str) -> dict[str, str]:
    return {"kind": "doublestar", "decoration": decoration, "pattern": pattern}


def _field_changes(title: str, plain: Fields, target: Fields, found: SeenPolicy) -> list[Change]:
    targets: Sequence[Fields] = found.fields.get("targets") or ()
    changes = [
        Change.of(Action.UPDATE, f"{title} {key}", found.fields.get(key, ""), want)
        for key, want in plain.items()
        if not fits(_ordered(want), _ordered(found.fields.get(key)))
    ]
    have: Fields = targets[0] if targets else {}
    changes += [
        Change.of(Action.UPDATE, f"{title} {key}", have.get(key, ""), want)
        for key, want in target.items()
        if not fits(want, have.get(key))
    ]
    if len(targets) > 1:
        changes.append(Change.of(Action.UPDATE, f"{title} targets", len(targets), 1))
    return changes


def _secret_changes(title: str, authorization: SecretStr, found: SeenPolicy) -> list[Change]:
    same = authorization.get_secret_value() == found.authorization.get_secret_value()
    return [] if same else [Change.hidden(Action.UPDATE, f"{title} authorization")]


def _ordered(value: Any) -> Any:
    """Events are a set, in whatever order they come."""
    return sorted(cast("list[str]", value)) if isinstance(value, list) else value
