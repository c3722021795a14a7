"""What keeps the phase keycloak from its work, and what is told to people."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.keycloak.plan import plan_roles
from tasks.keycloak.preflight import realm_problems
from tasks.keycloak.state import SeenGroup, parse_client
from tests.unit.tasks.keycloak.realms import EVERYTHING, GROUPS, HUB, ROLES, client_with, group_with, realm_with


def test_a_realm_that_has_everything_has_no_problem() -> None:
    assert realm_problems(HUB, realm_with(client_with())) == ()
    assert realm_problems(HUB, realm_with(None, groups=())) == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"protocol": "saml"}, "protocol saml"),
        ({"publicClient": True}, "public"),
        ({"bearerOnly": True}, "bearer-only"),
    ],
)
def test_somebody_elses_client_is_in_the_way(changed: dict[str, Any], said: str) -> None:
    [problem] = realm_problems(HUB, realm_with(client_with(**changed)))
    assert said in problem.found
    assert "choose another identity.client_id" in problem.remedy
    assert problem.fatal


@pytest.mark.parametrize(
    ("lacks", "fatal", "said"),
    [
        ({"manage-clients"}, True, "lacks the role manage-clients"),
        ({"view-users", "manage-users"}, False, "lacks the role view-users"),
        ({"manage-users"}, False, "this account may not create it"),
    ],
)
def test_an_account_that_lacks_a_role_is_told_which_and_what_that_means(
    lacks: set[str], *, fatal: bool, said: str
) -> None:
    groups = None if "view-users" in lacks else (GROUPS[0], group_with("hub-users"), GROUPS[2])
    realm = realm_with(client_with(), EVERYTHING - lacks, groups)
    [problem] = realm_problems(HUB, realm)
    assert said in problem.found
    assert problem.fatal is fatal
    planned = [change.what for change in plan_roles(HUB, realm)]
    assert planned == (["Role user of group hub-users"] if "manage-users" not in lacks else [])


def test_who_may_change_groups_may_see_them_too() -> None:
    assert realm_problems(HUB, realm_with(client_with(), EVERYTHING - {"view-users"})) == ()


@pytest.mark.parametrize("may", [EVERYTHING, EVERYTHING - {"manage-users"}])
def test_what_others_made_is_told_and_left(may: frozenset[str]) -> None:
    client = parse_client({**client_with().fields, "secret": "s"}, (*ROLES, {"name": "old", "id": "9"}))
    theirs = SeenGroup("x", ("teams", "data"), frozenset({"admin", "old"}))
    realm = realm_with(client, may, (*GROUPS, theirs, group_with("without")))
    problems = realm_problems(HUB, realm)
    assert [problem.what for problem in problems] == ["Roles of client jupyterhub", "Group /teams/data"]
    assert "gives its members admin," in problems[1].found
    assert not any(problem.fatal for problem in problems)
    assert plan_roles(HUB, realm).empty
