"""Phase keycloak: the hub's client, its roles, and the groups that have them are as the profile says."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from prefect.logging import get_run_logger
from pydantic import SecretStr

from config.spec import Hub
from tasks.core.change import Action, Change, Plan
from tasks.core.errors import Permanent
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.names import CLIENT_SECRET_KEY, OIDC_SECRET
from tasks.core.objects import SECRET, WantedObject
from tasks.core.problems import Problem
from tasks.core.secrets import mark_of, read_secret
from tasks.core.task import hub_task
from tasks.core.wait import ask_patiently
from tasks.keycloak.claims import claim_mistakes, expectations
from tasks.keycloak.client import Keycloak
from tasks.keycloak.plan import (
    client_differences,
    group_changes,
    identity_of,
    mapper_differences,
    new_client,
    plan_client,
    plan_roles,
    wanted_client,
    wanted_groups,
)
from tasks.keycloak.preflight import realm_problems
from tasks.keycloak.state import (
    MANAGE_CLIENTS,
    MANAGE_USERS,
    SEEING,
    VIEW_USERS,
    ClientStatus,
    SeenClient,
    SeenRealm,
    status_of,
)


@dataclass(frozen=True)
class KeycloakLook:
    """What one look at the realm shows: what stands in the way, what would change, and whether the secret is new."""

    problems: tuple[Problem, ...]
    plan: Plan
    secret_mark: str | None
    """Changes with the client's secret and does not tell it; None while there is no client."""


@hub_task(name="look at Keycloak", description="Compares the realm with what the hub needs of it.")
def look_at_keycloak(hub: Hub) -> KeycloakLook:
    """What this phase would change, and what stands in its way. Reads only, and waits for a Keycloak that restarts."""
    kubernetes = Kubernetes.connect()
    _, realm = look(hub, kubernetes)
    secret = realm.client.secret if realm.client else None
    plan = plan_client(hub, realm) + plan_roles(hub, realm) + _plan_secret(hub, secret, kubernetes)
    return KeycloakLook(realm_problems(hub, realm), plan, _mark_of(hub, secret) if secret else None)


@hub_task(name="ensure client", description="Makes or changes the hub's client in Keycloak.")
def ensure_client(hub: Hub, fence: Fence) -> Plan:
    """The client is as the profile says; returns what changed. A field that is not ours stays as it was."""
    keycloak, realm = look(hub, Kubernetes.connect(), fence.check)
    status, reason = status_of(realm.client)
    match status:
        case ClientStatus.ABSENT:
            keycloak.create_client(new_client(hub))
        case ClientStatus.FOREIGN:
            remedy = "look what else makes clients in this realm; then run again"
            raise Permanent("Keycloak", f"change client {identity_of(hub).client_id}", reason, remedy)
        case ClientStatus.PRESENT:
            _change_client(hub, keycloak, require_client(hub, realm.client))
        case _:
            assert_never(status)
    return plan_client(hub, realm)


@hub_task(name="ensure roles", description="Makes the client's roles in Keycloak, and gives them to groups.")
def ensure_roles(hub: Hub, fence: Fence) -> Plan:
    """The client has the profile's roles, and groups have them where the account may say so; returns what changed."""
    keycloak, realm = look(hub, Kubernetes.connect(), fence.check)
    client = require_client(hub, realm.client)
    plan = plan_roles(hub, realm)
    for role in hub.roles:
        if role not in client.roles:
            keycloak.create_role(client, role)
    if MANAGE_USERS in realm.may and any(True for _ in group_changes(hub, realm)):
        _ensure_groups(hub, keycloak, realm)
    return plan


@hub_task(name="ensure client secret", description="Keeps the client's secret in a Secret beside the hub.")
def ensure_client_secret(hub: Hub, fence: Fence) -> str:
    """The hub's namespace has the client's secret as Keycloak has it now; returns its mark."""
    kubernetes = Kubernetes.connect(may_write=fence.check)
    _, realm = look(hub, kubernetes)
    client = require_client(hub, realm.client)
    if client.secret is None:
        remedy = "have one drawn in Keycloak (the client's page, Credentials), and run again"
        raise Permanent("Keycloak", f"read the secret of client {client.fields['clientId']}", "it has none", remedy)
    kubernetes.ensure(_wanted_secret(hub, client.secret))
    return _mark_of(hub, client.secret)


@hub_task(name="check claims", description="Asks Keycloak what it would tell the hub of the checking users.")
def check_claims(hub: Hub) -> None:
    """Keycloak itself says that the checking users would arrive with the roles that they should have.

    Raises Permanent with what it would send otherwise. Where the account may not ask, that is said in the log.
    """
    keycloak, realm = look(hub, Kubernetes.connect())
    if not SEEING & realm.may:
        get_run_logger().warning("not checked what Keycloak would tell the hub: the account lacks %s", VIEW_USERS)
        return
    client = require_client(hub, realm.client)
    mistakes = ask_patiently(lambda: _claim_mistakes(hub, keycloak, client), get_run_logger().info)
    if mistakes:
        left = [str(change) for change in group_changes(hub, realm)]
        remedy = (
            f"have the realm's owner do what this account may not: {'; '.join(left)}; then run again"
            if left
            else "compare the users' groups with identity.roles, and the client's mappers and scopes in Keycloak"
        )
        raise Permanent("Keycloak", "evaluate what it would tell the hub", "; ".join(mistakes), remedy)


def look(hub: Hub, kubernetes: Kubernetes, may_write: Callable[[], None] = lambda: None) -> tuple[Keycloak, SeenRealm]:
    """The realm as it is, and a way to change it; waits for a Keycloak that restarts."""
    identity = identity_of(hub)
    secret = read_secret(identity.deployer.client_secret, kubernetes)

    def ask() -> tuple[Keycloak, SeenRealm]:
        keycloak = Keycloak.connect(identity, secret, may_write)
        may = keycloak.read_permissions()
        client = keycloak.read_client(identity.client_id) if MANAGE_CLIENTS in may else None
        groups = keycloak.list_groups(identity.client_id) if SEEING & may else None
        return keycloak, SeenRealm(may, client, groups)

    return ask_patiently(ask, get_run_logger().info)


def require_client(hub: Hub, client: SeenClient | None) -> SeenClient:
    if client is None:
        asked = f"find client {identity_of(hub).client_id}"
        raise Permanent("Keycloak", asked, "somebody deleted it meanwhile", "run again")
    return client


def _change_client(hub: Hub, keycloak: Keycloak, client: SeenClient) -> None:
    if client_differences(hub, client):
        # All of ours, because Keycloak makes up some that are left out (webOrigins) of others.
        keycloak.update_client(client, wanted_client(hub))
    for mapper in mapper_differences(hub, client):
        keycloak.apply_mapper(client, mapper)


def _ensure_groups(hub: Hub, keycloak: Keycloak, realm: SeenRealm) -> None:
    # Roles that were made just now have ids by now.
    client = require_client(hub, keycloak.read_client(identity_of(hub).client_id))
    for name, wanted in wanted_groups(hub).items():
        group = realm.find_group(name) or keycloak.create_group(name)
        have = group.roles & hub.roles.keys()
        if wanted - have:
            keycloak.map_roles(client, group, wanted - have)
        if have - wanted:
            keycloak.unmap_roles(client, group, have - wanted)


def _plan_secret(hub: Hub, secret: SecretStr | None, kubernetes: Kubernetes) -> Plan:
    if secret is None:
        return Plan((Change.hidden(Action.CREATE, f"Secret {OIDC_SECRET}"),))
    return kubernetes.plan(_wanted_secret(hub, secret))


def _wanted_secret(hub: Hub, secret: SecretStr) -> WantedObject:
    data = {CLIENT_SECRET_KEY: base64.b64encode(secret.get_secret_value().encode()).decode()}
    return WantedObject(SECRET, OIDC_SECRET, hub.cluster.namespace, {"type": "Opaque", "data": data})


def _mark_of(hub: Hub, secret: SecretStr) -> str:
    return mark_of([secret], f"{hub.cluster.namespace}/{hub.release.name}")


def _claim_mistakes(hub: Hub, keycloak: Keycloak, client: SeenClient) -> tuple[str, ...]:
    scopes = identity_of(hub).scopes
    found: Mapping[str, Mapping[str, Any] | None] = {
        expected.user: keycloak.read_example_claims(client, expected.user, scopes) for expected in expectations(hub)
    }
    return claim_mistakes(hub, found)
