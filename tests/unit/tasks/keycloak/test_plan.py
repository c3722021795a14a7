"""What a realm needs for a hub: field by field, and nothing of what people set themselves."""

from __future__ import annotations

from typing import Any

import pytest

from config.spec import Hub
from tasks.keycloak.plan import (
    client_differences,
    left_behind,
    mapper_differences,
    plan_client,
    plan_roles,
    roles_to_take,
    wanted_client,
    wanted_groups,
)
from tasks.keycloak.state import parse_client, parse_groups
from tests.unit.tasks.keycloak.realms import GROUPS, HUB, ROLES, client_with, group_with, realm_with

UNMOVABLE = ("clientId", "attributes", "protocol", "publicClient", "bearerOnly")
"""Names, what is compared name by name, and what makes a client somebody else's."""


def test_a_realm_that_has_everything_needs_nothing() -> None:
    realm = realm_with(client_with())
    assert (plan_client(HUB, realm) + plan_roles(HUB, realm)).empty


def test_the_secret_is_in_no_field_and_no_text() -> None:
    client = client_with(secret="hunter2")
    assert client.secret
    assert client.secret.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(client)
    assert "secret" not in client.fields


def test_an_empty_realm_gets_client_roles_and_groups() -> None:
    realm = realm_with(None, groups=())
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
    client = client_with(**{field: drifted})
    assert client_differences(HUB, client) == {field: want}
    [change] = plan_client(HUB, realm_with(client))
    assert change.what == f"Client jupyterhub {field}"


def test_an_attribute_of_ours_is_put_back_and_others_stay() -> None:
    client = client_with(attributes={"pkce.code.challenge.method": "plain", "theirs": "x"})
    assert client_differences(HUB, client)["attributes"] == {
        "pkce.code.challenge.method": "S256", "post.logout.redirect.uris": HUB.signed_out
    }  # fmt: skip
    changes = list(plan_client(HUB, realm_with(client)))
    assert [change.before for change in changes] == ["plain", ""]


def test_what_people_set_themselves_is_left_alone() -> None:
    own = {"name": "theirs", "id": "9", "protocolMapper": "oidc-hardcoded-claim-mapper", "config": {}}
    client = client_with(description="ours", name="Hub", alwaysDisplayInConsole=True)
    more = parse_client(
        {**client.fields, "protocolMappers": [*client.mappers.values(), own]}, (*ROLES, {"name": "theirs", "id": "9"})
    )
    assert plan_client(HUB, realm_with(more)).empty
    assert plan_roles(HUB, realm_with(more)).empty


def test_a_mapper_that_drifted_is_put_back_with_its_id_and_what_else_it_has() -> None:
    mappers = [dict(mapper) for mapper in client_with().mappers.values()]
    mappers[0]["config"] = {**mappers[0]["config"], "claim.name": "other", "theirs": "x"}
    client = client_with(protocolMappers=mappers[:2])
    drifted, missing = mapper_differences(HUB, client)
    assert (drifted["id"], drifted["config"]["claim.name"], drifted["config"]["theirs"]) == ("0", "hub_roles", "x")
    assert "id" not in missing
    assert [change.what for change in plan_client(HUB, realm_with(client))] == [
        "Client jupyterhub mapper hub roles claim.name", "Client jupyterhub mapper hub email"
    ]  # fmt: skip


@pytest.mark.parametrize("changed", [{"protocol": "saml"}, {"publicClient": True}, {"bearerOnly": True}])
def test_nothing_of_somebody_elses_client_is_to_be_changed(changed: dict[str, Any]) -> None:
    assert plan_client(HUB, realm_with(client_with(**changed))).empty


def test_a_role_that_a_group_should_not_give_is_taken_back_and_other_groups_stay() -> None:
    groups = (GROUPS[0], group_with("hub-users", "user", "admin", "theirs"), GROUPS[2])
    changes = list(plan_roles(HUB, realm_with(client_with(), groups=groups)))
    assert [(change.action.value, change.what) for change in changes] == [("delete", "Role admin of group hub-users")]


def test_two_roles_of_one_group_are_both_given() -> None:
    roles = {"a": {"groups": ["team", "/x/y"]}, "b": {"groups": ["team"]}}
    hub = HUB.model_validate({**HUB.model_dump(), "identity": {**HUB.identity.model_dump(), "roles": roles}})
    assert wanted_groups(hub) == {"team": {"a", "b"}, "/x/y": {"a"}}


def test_a_group_at_the_top_is_the_same_with_and_without_a_slash() -> None:
    roles = {"a": {"groups": ["team"]}, "b": {"groups": ["/team"]}}
    hub = HUB.model_validate({**HUB.model_dump(), "identity": {**HUB.identity.model_dump(), "roles": roles}})
    assert wanted_groups(hub) == {"team": {"a", "b"}}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("team", "top"),
        ("/team", "top"),
        ("/team/data", "below"),
        ("team/data", None),
        ("a/b", "slash"),
        ("/a/b", "slash"),
        ("/über uns/c d/e", "deep"),
        ("data", None),
        ("/", None),
    ],
)
def test_a_group_is_found_by_its_name_or_by_its_path(name: str, found: str | None) -> None:
    documents = [
        {"id": "top", "name": "team", "subGroups": [{"id": "below", "name": "data"}]},
        {"id": "slash", "name": "a/b"},
        {"id": "-", "name": "über uns", "subGroups": [{"id": "deep", "name": "c d/e"}]},
    ]
    groups = tuple(parse_groups(documents, "jupyterhub"))
    seen = realm_with(None, groups=groups).find_group(name)
    assert (seen.id if seen else None) == found


def test_only_roles_of_the_hubs_own_client_count() -> None:
    document = {"id": "1", "name": "team", "clientRoles": {"jupyterhub": ["user"], "other": ["admin"]}}
    [group] = parse_groups([document], "jupyterhub")
    assert (group.path, group.roles) == ("/team", {"user"})


def _with_role(role: str, group: str) -> Hub:
    """The hub with one role more."""
    document = HUB.model_dump(mode="json")
    document["identity"]["roles"][role] = {"groups": [group]}
    return Hub.model_validate(document)


def test_going_back_takes_what_only_the_present_profile_gave() -> None:
    present = _with_role("teacher", "hub-users")
    groups = (group_with("hub-users", "user", "teacher", "somebodys-own"),)
    realm = realm_with(client_with(), groups=groups)
    assert roles_to_take(present, HUB, realm) == {"hub-users": frozenset({"teacher"})}
    assert roles_to_take(HUB, HUB, realm) == {}
    assert left_behind(present, HUB) == ("Client role teacher",)
    assert left_behind(_with_role("teacher", "teachers"), HUB) == ("Group teachers", "Client role teacher")


def test_going_back_to_another_client_leaves_this_one_alone() -> None:
    document = HUB.model_dump(mode="json")
    document["identity"]["client_id"] = "another"
    other = Hub.model_validate(document)
    realm = realm_with(client_with())
    assert roles_to_take(other, HUB, realm) == {}
    assert left_behind(other, HUB) == ("Client another",)
