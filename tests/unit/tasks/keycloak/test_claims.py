"""What Keycloak would tell the hub of the checking users, and what is wrong with that."""

from __future__ import annotations

from typing import Any

import pytest

from config.profiles import load_profile
from tasks.keycloak.claims import claim_mistakes

HUB = load_profile("thinkube")
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
