"""Phase keycloak, what stands in its way, is left to the realm's owner, or is worth knowing: pure."""

from __future__ import annotations

from collections.abc import Iterator

from config.spec import Hub
from tasks.core.problems import Problem
from tasks.keycloak.plan import group_changes, identity_of, wanted_groups
from tasks.keycloak.state import (
    MANAGE_CLIENTS,
    MANAGE_USERS,
    SEEING,
    VIEW_USERS,
    ClientStatus,
    SeenRealm,
    status_of,
)


def realm_problems(hub: Hub, realm: SeenRealm) -> tuple[Problem, ...]:
    """What keeps this phase from its work, and what a person has to know or to do."""
    return (*_missing_roles(hub, realm), *_foreign_client(hub, realm), *_owners_part(hub, realm), *_left(hub, realm))


def _missing_roles(hub: Hub, realm: SeenRealm) -> Iterator[Problem]:
    identity = identity_of(hub)
    account = f"account {identity.deployer.client_id} of realm {identity.realm}"
    if MANAGE_CLIENTS not in realm.may:
        yield _lacks(account, MANAGE_CLIENTS, "the hub's client can be neither looked at nor made", fatal=True)
    if not SEEING & realm.may:
        meaning = "groups are not set up, and what Keycloak would tell the hub is not checked"
        yield _lacks(account, VIEW_USERS, meaning, fatal=False)


def _foreign_client(hub: Hub, realm: SeenRealm) -> Iterator[Problem]:
    status, reason = status_of(realm.client)
    if status is ClientStatus.FOREIGN:
        remedy = (
            "choose another identity.client_id; or, if nobody else uses that client,"
            " have it deleted or made a confidential OpenID Connect client"
        )
        yield Problem(f"Client {identity_of(hub).client_id}", f"{reason}, so it is no hub's", remedy)


def _owners_part(hub: Hub, realm: SeenRealm) -> Iterator[Problem]:
    """What an account that may not change groups leaves to those who may."""
    if MANAGE_USERS in realm.may:
        return
    remedy = (
        f"have the realm's owner do it once client {identity_of(hub).client_id} is there,"
        f" or give this account {MANAGE_USERS} (client realm-management, Service accounts roles)"
    )
    for change in group_changes(hub, realm):
        yield Problem(change.what, f"this account may not {change.action} it", remedy, fatal=False)


def _left(hub: Hub, realm: SeenRealm) -> Iterator[Problem]:
    """What somebody else made and the profile does not name: it stays."""
    client_id = identity_of(hub).client_id
    roles = sorted((realm.client.roles if realm.client else {}).keys() - hub.roles.keys())
    if roles:
        remedy = "name them in identity.roles, or delete them in Keycloak if nobody needs them"
        found = f"the profile does not name {', '.join(roles)}: they are left, and let nobody in"
        yield Problem(f"Roles of client {client_id}", found, remedy, fatal=False)
    named = [realm.find_group(name) for name in wanted_groups(hub)]
    for group in realm.groups or ():
        given = sorted(group.roles & hub.roles.keys())
        if given and group not in named:
            remedy = "name the group in identity.roles, or take the roles from it in Keycloak"
            found = f"gives its members {', '.join(given)}, which the profile does not say: it is left so"
            yield Problem(f"Group {group.path}", found, remedy, fatal=False)


def _lacks(account: str, role: str, meaning: str, *, fatal: bool) -> Problem:
    remedy = f"have the realm's owner give it {role} (client realm-management, Service accounts roles)"
    return Problem(account, f"it lacks the role {role}: {meaning}", remedy, fatal=fatal)
