"""What Keycloak should tell the hub of the checking users, and whether it would: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from config.spec import Hub
from tasks.keycloak.plan import identity_of


class Expected(Enum):
    """Which roles somebody should arrive with."""

    USER = "a role, and none of an admin"
    ADMIN = "a role of an admin"
    OUTSIDER = "no role"


@dataclass(frozen=True)
class Expectation:
    """One of the checking users, and what their claims should be."""

    user: str
    roles: Expected


def expectations(hub: Hub) -> tuple[Expectation, ...]:
    """For each of the checking users that the profile names."""
    checks = hub.checks
    return (
        Expectation(checks.user, Expected.USER),
        *((Expectation(checks.admin.user, Expected.ADMIN),) if checks.admin else ()),
        *((Expectation(checks.outsider.user, Expected.OUTSIDER),) if checks.outsider else ()),
    )


def claim_mistakes(hub: Hub, claims: Mapping[str, Mapping[str, Any] | None]) -> tuple[str, ...]:
    """Where userinfo, as Keycloak would send it, is not what it should be; None is for a user that is not there."""
    return tuple(mistake for expected in expectations(hub) for mistake in _mistakes(hub, expected, claims))


def _mistakes(hub: Hub, expected: Expectation, claims: Mapping[str, Mapping[str, Any] | None]) -> Iterator[str]:
    identity, found = identity_of(hub), claims.get(expected.user)
    if found is None:
        yield f"there is no user {expected.user}"
        return
    if found.get(identity.username_claim) != expected.user:
        yield f"{expected.user} would arrive as {found.get(identity.username_claim)!r} in {identity.username_claim}"
    roles: set[str] = set(found.get(identity.roles_claim) or ())
    if not _fits(hub, expected.roles, roles):
        had = ", ".join(sorted(roles)) or "none"
        yield f"{expected.user} would arrive with {had} in {identity.roles_claim}, not with {expected.roles.value}"


def _fits(hub: Hub, expected: Expected, roles: set[str]) -> bool:
    known = roles & hub.roles.keys()
    admin = any(hub.roles[role].admin for role in known)
    match expected:
        case Expected.USER:
            return bool(known) and not admin
        case Expected.ADMIN:
            return admin
        case Expected.OUTSIDER:
            return not known
