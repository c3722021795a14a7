"""Deployers that lack something, against the real Keycloak: each is told what, and does what it may."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from keycloak import KeycloakAdmin

from config.profiles import load_profile
from config.spec import Hub
from tasks.core.errors import Permanent
from tasks.keycloak.phase import check_claims, ensure_client, look_at_keycloak
from tests.sandbox.keycloak.conftest import FENCE, Log, changed, client_of, set_up

Account = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("roles", "fatal", "said"),
    [
        (("view-users", "manage-users"), True, "lacks the role manage-clients"),
        (("manage-clients",), False, "lacks the role view-users"),
        (("manage-clients", "view-users"), False, "may not create it"),
        (("manage-clients", "query-groups", "query-users"), False, "lacks the role view-users"),
    ],
)
def test_an_account_that_lacks_a_role_is_told_which(
    hub: Hub, account: Account, roles: tuple[str, ...], *, fatal: bool, said: str
) -> None:
    poor = changed(hub, **account(*roles))
    problems = look_at_keycloak.fn(poor).problems
    assert any(said in problem.found for problem in problems)
    assert any(problem.fatal for problem in problems) is fatal


def test_an_account_that_may_not_make_groups_does_all_else(hub: Hub, admin: KeycloakAdmin, account: Account) -> None:
    poor = changed(hub, **account("manage-clients", "view-users"))
    set_up(poor)
    look = look_at_keycloak.fn(poor)
    assert look.plan.empty
    assert f"Group {hub.name}" in [problem.what for problem in look.problems]
    assert {role["name"] for role in admin.get_client_roles(client_of(admin, hub)["id"])} == {"admin", "user", "gpu"}


def test_a_write_that_is_forbidden_names_the_role(hub: Hub, account: Account) -> None:
    with pytest.raises(Permanent, match="lacks the role manage-clients"):
        ensure_client.fn(changed(hub, **account("view-users")), FENCE)


def test_a_wrong_secret_is_told_without_it(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "wrong"
    file.write_text("hunter2")
    wrong = changed(hub, deployer={"client_id": "hubwright", "client_secret": {"file": str(file)}})
    with pytest.raises(Permanent, match=r"check identity\.deployer") as error:
        look_at_keycloak.fn(wrong)
    assert "hunter2" not in str(error.value)


def test_who_may_change_groups_sees_them_and_peoples_claims_too(hub: Hub, account: Account, log: Log) -> None:
    roles = {name: role.model_dump() for name, role in load_profile("sandbox").roles.items()}
    usual = changed(hub, **account("manage-clients", "manage-users"), roles=roles)
    assert look_at_keycloak.fn(usual).problems == ()
    set_up(usual)
    check_claims.fn(usual)
    assert log.said == []


def test_what_may_not_be_looked_at_is_said_to_be_unchecked(hub: Hub, account: Account, log: Log) -> None:
    poor = changed(hub, **account("manage-clients"))
    set_up(poor)
    check_claims.fn(poor)
    assert log.said == ["not checked what Keycloak would tell the hub: the account lacks view-users"]


def test_what_the_realms_owner_has_to_do_first_is_told_when_the_claims_are_wrong(hub: Hub, account: Account) -> None:
    poor = changed(hub, **account("manage-clients", "view-users"))
    set_up(poor)
    with pytest.raises(Permanent, match=f"owner do what this account may not: create Group {hub.name}"):
        check_claims.fn(poor)


def test_a_client_without_a_service_account_is_told(hub: Hub, account: Account) -> None:
    poor = changed(hub, **account(serviceAccountsEnabled=False))
    with pytest.raises(Permanent, match="that it has a service account"):
        look_at_keycloak.fn(poor)


def test_an_account_whose_tokens_tell_no_roles_may_do_what_keycloak_says(hub: Hub, account: Account) -> None:
    light = {"client.use.lightweight.access.token.enabled": "true"}
    rich = changed(hub, **account("manage-clients", "view-users", "manage-users", attributes=light))
    set_up(rich)
    assert look_at_keycloak.fn(rich).plan.empty
    poor = changed(hub, **account("view-users", attributes=light))
    with pytest.raises(Permanent, match="lacks the role manage-clients"):
        look_at_keycloak.fn(poor)
