"""The phase keycloak against the real one: what it makes, puts back, and leaves alone."""

from __future__ import annotations

import time
from typing import Any

import pytest
from keycloak import KeycloakAdmin
from kubernetes import client as kubernetes_client

from config.profiles import load_profile
from config.spec import Hub
from tasks.core.errors import Permanent
from tasks.core.objects import SECRET
from tasks.keycloak.phase import check_claims, ensure_client, ensure_client_secret, ensure_roles, look_at_keycloak
from tasks.keycloak.plan import wanted_client
from tests.sandbox.conftest import Sandbox, keycloak_writes
from tests.sandbox.keycloak.conftest import FENCE, changed, client_of, set_up

MANY = 120
"""More than a page of any of Keycloak's lists."""


def test_the_first_run_makes_everything_and_the_second_writes_nothing(hub: Hub, admin: KeycloakAdmin) -> None:
    planned = look_at_keycloak.fn(hub)
    assert planned.problems == ()
    assert planned.secret_mark is None
    set_up(hub)
    since = _now()
    set_up(hub)
    assert keycloak_writes(admin, since, hub.name) == []
    again = look_at_keycloak.fn(hub)
    assert again.plan.empty
    assert again.secret_mark


def _now() -> int:
    """A moment, in milliseconds, to ask Keycloak about what came after it: both run on this machine."""
    return int(time.time() * 1000) + 1


def test_the_secret_is_kept_beside_the_hub_and_told_nowhere(hub: Hub, admin: KeycloakAdmin, sandbox: Sandbox) -> None:
    first = look_at_keycloak.fn(hub)
    set_up(hub)
    secret = admin.get_client_secrets(client_of(admin, hub)["id"])["value"]
    kept = sandbox.kubernetes.read(SECRET, "hubwright-oidc", hub.cluster.namespace)
    assert kept
    assert kept["data"].keys() == {"client_secret"}
    second = look_at_keycloak.fn(hub)
    assert secret not in f"{first}{second}"
    assert "Secret hubwright-oidc" in [change.what for change in first.plan]


def test_a_rotated_secret_is_noticed_and_followed(hub: Hub, admin: KeycloakAdmin) -> None:
    set_up(hub)
    before = look_at_keycloak.fn(hub).secret_mark
    admin.generate_client_secrets(client_of(admin, hub)["id"])
    look = look_at_keycloak.fn(hub)
    assert look.secret_mark != before
    assert [change.what for change in look.plan] == ["Secret hubwright-oidc data.client_secret"]
    assert ensure_client_secret.fn(hub, FENCE) == look.secret_mark
    assert look_at_keycloak.fn(hub).plan.empty


FIELDS = ("enabled", "consentRequired", "standardFlowEnabled", "implicitFlowEnabled", "directAccessGrantsEnabled",
          "serviceAccountsEnabled", "fullScopeAllowed", "frontchannelLogout", "redirectUris", "webOrigins", "rootUrl",
          "baseUrl", "attributes")  # fmt: skip


def test_every_field_that_drifted_is_shown_and_put_back_and_others_stay(hub: Hub, admin: KeycloakAdmin) -> None:
    set_up(hub)
    seen, want = client_of(admin, hub), wanted_client(hub)
    drifted: dict[str, Any] = {key: not want[key] for key in FIELDS if isinstance(want[key], bool)}
    drifted |= {"redirectUris": ["https://elsewhere/*"], "webOrigins": ["+"], "rootUrl": "https://x", "baseUrl": "/x"}
    drifted["attributes"] = {"pkce.code.challenge.method": "plain", "post.logout.redirect.uris": "+", "theirs": "kept"}
    admin.update_client(seen["id"], {**drifted, "clientId": hub.name, "description": "kept too"})
    shown = {change.what.split()[2].partition(".")[0] for change in look_at_keycloak.fn(hub).plan}
    assert shown == set(FIELDS)
    ensure_client.fn(hub, FENCE)
    after = client_of(admin, hub)
    assert {key: after.get(key) for key in FIELDS if key != "attributes"} == {
        key: want[key] for key in FIELDS if key != "attributes"
    }
    assert after["attributes"].items() >= {**want["attributes"], "theirs": "kept"}.items()
    assert after["description"] == "kept too"
    assert look_at_keycloak.fn(hub).plan.empty


def test_mappers_that_drifted_are_put_back_and_others_stay(hub: Hub, admin: KeycloakAdmin) -> None:
    set_up(hub)
    seen = client_of(admin, hub)
    mappers = {mapper["name"]: mapper for mapper in seen["protocolMappers"]}
    roles = mappers["hub roles"]
    admin.update_client_mapper(seen["id"], roles["id"], {**roles, "config": {**roles["config"], "claim.name": "x"}})
    admin.remove_client_mapper(seen["id"], mappers["hub email"]["id"])
    own = {"name": "theirs", "protocol": "openid-connect", "protocolMapper": "oidc-full-name-mapper", "config": {}}
    admin.add_mapper_to_client(seen["id"], own)
    assert len(tuple(look_at_keycloak.fn(hub).plan)) == 2
    ensure_client.fn(hub, FENCE)
    assert {mapper["name"] for mapper in client_of(admin, hub)["protocolMappers"]} == {*mappers, "theirs"}
    assert look_at_keycloak.fn(hub).plan.empty


def test_groups_get_their_roles_and_lose_what_they_should_not_have(hub: Hub, admin: KeycloakAdmin) -> None:
    set_up(hub)
    seen = client_of(admin, hub)
    group = admin.get_group_by_path(f"/{hub.name}")
    admin.assign_group_client_roles(group["id"], seen["id"], [admin.get_client_role(seen["id"], "admin")])
    [change] = look_at_keycloak.fn(hub).plan
    assert change.what == f"Role admin of group {hub.name}"
    ensure_roles.fn(hub, FENCE)
    assert [role["name"] for role in admin.get_group_client_roles(group["id"], seen["id"])] == ["user"]
    deep = admin.get_group_by_path(f"/{hub.name} über/a b/c")
    assert [role["name"] for role in admin.get_group_client_roles(deep["id"], seen["id"])] == ["gpu"]


@pytest.mark.parametrize("above", ["", "/{} parents/"], ids=["at the top", "below another"])
def test_lists_longer_than_a_page_are_read_to_their_end(hub: Hub, admin: KeycloakAdmin, above: str) -> None:
    below = above.format(hub.name)
    roles = {f"role-{index:03}": {"groups": [f"{below}{hub.name} {index:03} x"]} for index in range(MANY)}
    many = changed(hub, roles=roles)
    set_up(many)
    since = _now()
    assert look_at_keycloak.fn(many).plan.empty
    ensure_roles.fn(many, FENCE)
    assert keycloak_writes(admin, since, hub.name) == []
    assert admin.groups_count({"search": hub.name})["count"] == MANY + (1 if above else 0)


@pytest.mark.parametrize(
    "name", ["{} a/b", "/{}/c d/ü", "{} 100% “x” <y> #1?&+~", "/{} 100%/“x” <y>/#1?&+~;=:@", "/{}"]
)
def test_names_may_hold_what_people_write(hub: Hub, admin: KeycloakAdmin, name: str) -> None:
    named = changed(hub, roles={"user": {"groups": [name.format(hub.name)]}})
    set_up(named)
    since = _now()
    set_up(named)
    assert keycloak_writes(admin, since, hub.name) == []
    assert look_at_keycloak.fn(named).plan.empty


def test_a_run_killed_between_client_and_roles_is_run_again(hub: Hub) -> None:
    ensure_client.fn(hub, FENCE)
    assert {change.what.split()[0] for change in look_at_keycloak.fn(hub).plan} >= {"Client", "Role"}
    set_up(hub)
    assert look_at_keycloak.fn(hub).plan.empty


def test_keycloak_itself_says_with_which_roles_people_would_arrive(hub: Hub) -> None:
    set_up(hub)
    with pytest.raises(Permanent, match="hubwright-check would arrive with none in hub_roles") as wrong:
        check_claims.fn(hub)
    assert "hubwright-check-admin would arrive with none" in str(wrong.value)
    usual = changed(hub, roles={name: role.model_dump() for name, role in load_profile("sandbox").roles.items()})
    ensure_roles.fn(usual, FENCE)
    check_claims.fn(usual)


@pytest.mark.parametrize(
    ("kind", "said"), [({"protocol": "saml"}, "protocol saml"), ({"publicClient": True}, "is public")]
)
def test_somebody_elses_client_of_that_name_is_told_and_left_alone(
    hub: Hub, admin: KeycloakAdmin, kind: dict[str, Any], said: str
) -> None:
    admin.create_client({"clientId": hub.name, **kind})
    before = client_of(admin, hub)
    look = look_at_keycloak.fn(hub)
    [problem] = [problem for problem in look.problems if problem.fatal]
    assert said in problem.found
    assert client_of(admin, hub) == before


def test_what_others_made_is_told_and_left(hub: Hub, admin: KeycloakAdmin) -> None:
    set_up(hub)
    seen = client_of(admin, hub)
    admin.create_client_role(seen["id"], {"name": "theirs"})
    top = admin.create_group({"name": f"{hub.name} theirs"})
    group = admin.create_group({"name": "below"}, parent=top)
    assert group
    admin.assign_group_client_roles(group, seen["id"], [admin.get_client_role(seen["id"], "gpu")])
    look = look_at_keycloak.fn(hub)
    assert look.plan.empty
    assert [problem.what for problem in look.problems] == [
        f"Roles of client {hub.name}", f"Group /{hub.name} theirs/below"
    ]  # fmt: skip
    assert not any(problem.fatal for problem in look.problems)
    set_up(hub)
    assert [role["name"] for role in admin.get_group_client_roles(group, seen["id"])] == ["gpu"]


def test_a_secret_that_was_deleted_beside_the_hub_is_kept_there_again(hub: Hub, sandbox: Sandbox) -> None:
    set_up(hub)
    mark = look_at_keycloak.fn(hub).secret_mark
    kubernetes_client.CoreV1Api(sandbox.api()).delete_namespaced_secret("hubwright-oidc", hub.cluster.namespace)
    assert [change.what for change in look_at_keycloak.fn(hub).plan] == ["Secret hubwright-oidc"]
    assert ensure_client_secret.fn(hub, FENCE) == mark
    assert look_at_keycloak.fn(hub).plan.empty
