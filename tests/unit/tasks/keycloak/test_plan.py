"""What a realm needs for a hub: field by field, and nothing of what people set themselves."""

from __future__ import annotations

from typing import Any

import pytest

from config.profiles import load_profile
from tasks.keycloak.claims import claim_mistakes
from tasks.keycloak.plan import (
    client_differences,
    mapper_differences,
    new_client,
    plan_client,
    plan_roles,
    realm_problems,
    wanted_client,
    wanted_groups,
)
from tasks.keycloak.state import SeenClient, SeenGroup, SeenRealm, parse_client

HUB = load_profile("thinkube")
EVERYTHING = frozenset({"manage-clients", "view-users", "manage-users"})
ROLES = ("admin", "user", "gpu")
GROUPS = {
    "hub-admins": SeenGroup("1", frozenset({"admin"})),
    "hub-users": SeenGroup("2", frozenset({"user"})),
    "hub-gpu": SeenGroup("3", frozenset({"gpu"})),
}
UNMOVABLE = ("clientId", "attributes", "protocol", "publicClient", "bearerOnly")
"""Names, what is compared name by name, and what makes a client somebody else's."""


def _client(**changed: Any) -> SeenClient:
    mappers = [{**mapper, "id": str(index)} for index, mapper in enumerate(new_client(HUB)["protocolMappers"])]
    return parse_client({**wanted_client(HUB), "id": "c", "protocolMappers": mappers, "secret": "s", **changed}, ROLES)


def _realm(client: SeenClient | None, may: frozenset[str] = EVERYTHING, groups: Any = GROUPS) -> SeenRealm:
    return SeenRealm(may, client, groups)


def test_a_realm_that_has_everything_needs_nothing() -> None:
    realm = _realm(_client())
    assert (plan_client(HUB, realm) + plan_roles(HUB, realm)).empty
    assert realm_problems(HUB, realm) == ()


def test_the_secret_is_in_no_field_and_no_text() -> None:
    client = _client(secret="hunter2")
    assert client.secret
    assert client.secret.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(client)
    assert "secret" not in client.fields


def test_an_empty_realm_gets_client_roles_and_groups() -> None:
    realm = _realm(None, groups={})
    plan = plan_client(HUB, realm) + plan_roles(HUB, realm)
    assert [change.what for change in plan] == [
        "Client jupyterhub", "Client role admin", "Client role user", "Client role gpu",
        "Group hub-admins", "Role admin of group hub-admins", "Group hub-users", "Role user of group hub-users",
        "Group hub-gpu", "Role gpu of group hub-gpu",
    ]  # fmt: skip


@pytest.mark.parametrize("field", [key for key in wanted_client(HUB) if key not in UNMOVABLE])
def test_each_field_of_ours_that_drifted_is_put_back(field: str) -> None:
    want = wanted_client(HUB)[field]
    drifted = not want if isinstance(want, bool) else ["https://elsewhere"] if isinstance(want, list) else "other"
    client = _client(**{field: drifted})
    assert client_differences(HUB, client) == {field: want}
    [change] = plan_client(HUB, _realm(client))
    assert change.what == f"Client jupyterhub {field}"


def test_an_attribute_of_ours_is_put_back_and_others_stay() -> None:
    client = _client(attributes={"pkce.code.challenge.method": "plain", "theirs": "x"})
    assert client_differences(HUB, client)["attributes"] == {
        "pkce.code.challenge.method": "S256", "post.logout.redirect.uris": HUB.signed_out
    }  # fmt: skip
    changes = list(plan_client(HUB, _realm(client)))
    assert [change.before for change in changes] == ["plain", ""]


def test_what_people_set_themselves_is_left_alone() -> None:
    own = {"name": "theirs", "id": "9", "protocolMapper": "oidc-hardcoded-claim-mapper", "config": {}}
    client = _client(description="ours", name="Hub", alwaysDisplayInConsole=True)
    more = parse_client({**client.fields, "protocolMappers": [*client.mappers.values(), own]}, (*ROLES, "theirs"))
    assert plan_client(HUB, _realm(more)).empty
    assert plan_roles(HUB, _realm(more)).empty


def test_a_mapper_that_drifted_is_put_back_with_its_id_and_what_else_it_has() -> None:
    mappers = [dict(mapper) for mapper in _client().mappers.values()]
    mappers[0]["config"] = {**mappers[0]["config"], "claim.name": "other", "theirs": "x"}
    client = _client(protocolMappers=mappers[:2])
    drifted, missing = mapper_differences(HUB, client)
    assert (drifted["id"], drifted["config"]["claim.name"], drifted["config"]["theirs"]) == ("0", "hub_roles", "x")
    assert "id" not in missing
    assert [change.what for change in plan_client(HUB, _realm(client))] == [
        "Client jupyterhub mapper hub roles claim.name", "Client jupyterhub mapper hub email"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"protocol": "saml"}, "protocol saml"),
        ({"publicClient": True}, "public"),
        ({"bearerOnly": True}, "bearer-only"),
    ],
)
def test_somebody_elses_client_is_not_touched(changed: dict[str, Any], said: str) -> None:
    realm = _realm(_client(**changed))
    assert plan_client(HUB, realm).empty
    [problem] = realm_problems(HUB, realm)
    assert said in problem.found
    assert problem.fatal


def test_a_role_that_a_group_should_not_give_is_taken_back_and_other_groups_stay() -> None:
    groups = {**GROUPS, "hub-users": SeenGroup("2", frozenset({"user", "admin", "theirs"}))}
    changes = list(plan_roles(HUB, _realm(_client(), groups=groups)))
    assert [(change.action.value, change.what) for change in changes] == [("delete", "Role admin of group hub-users")]


def test_two_roles_of_one_group_are_both_given() -> None:
    roles = {"a": {"groups": ["team", "/x/y"]}, "b": {"groups": ["team"]}}
    hub = HUB.model_validate({**HUB.model_dump(), "identity": {**HUB.identity.model_dump(), "roles": roles}})
    assert wanted_groups(hub) == {"team": {"a", "b"}, "/x/y": {"a"}}


@pytest.mark.parametrize(
    ("lacks", "fatal", "said"),
    [
        ("manage-clients", True, "lacks the role manage-clients"),
        ("view-users", False, "lacks the role view-users"),
        ("manage-users", False, "this account may not create it"),
    ],
)
def test_an_account_that_lacks_a_role_is_told_which_and_what_that_means(lacks: str, *, fatal: bool, said: str) -> None:
    seen = None if lacks == "view-users" else {**GROUPS, "hub-users": SeenGroup("2")}
    realm = _realm(_client(), EVERYTHING - {lacks}, seen)
    [problem] = [problem for problem in realm_problems(HUB, realm) if said in problem.found]
    assert problem.fatal is fatal
    assert [change.what for change in plan_roles(HUB, realm)] == (
        ["Role user of group hub-users"] if lacks == "manage-clients" else []
    )


GOOD: dict[str, Any] = {
    "hubwright-check": {"preferred_username": "hubwright-check", "hub_roles": ["user"]},
    "hubwright-check-admin": {"preferred_username": "hubwright-check-admin", "hub_roles": ["admin"]},
    "hubwright-check-outsider": {"preferred_username": "hubwright-check-outsider"},
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"hubwright-check": None}, "there is no user hubwright-check"),
        ({"hubwright-check": {"preferred_username": "x", "hub_roles": ["user"]}}, "would arrive as 'x'"),
        ({"hubwright-check": {**GOOD["hubwright-check"], "hub_roles": []}}, "with none in hub_roles, not with a role"),
        ({"hubwright-check": {**GOOD["hubwright-check"], "hub_roles": ["admin"]}}, "none of an admin"),
        ({"hubwright-check-admin": {**GOOD["hubwright-check-admin"], "hub_roles": ["user"]}}, "not with a role of an"),
        ({"hubwright-check-outsider": {**GOOD["hubwright-check-outsider"], "hub_roles": ["gpu"]}}, "not with no role"),
    ],
)
def test_what_keycloak_would_tell_of_the_checking_users(changed: dict[str, Any], said: str | None) -> None:
    mistakes = claim_mistakes(HUB, {**GOOD, **changed})
    assert (len(mistakes), said is None or said in mistakes[0]) == (1 if said else 0, True)
