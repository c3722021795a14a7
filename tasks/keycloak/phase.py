"""Phase keycloak: the hub's client, its roles, and the groups that have them are as the profile says."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
    realm_problems,
    wanted_client,
    wanted_groups,
)
from tasks.keycloak.state import MANAGE_CLIENTS, MANAGE_USERS, VIEW_USERS, SeenClient, SeenRealm


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
    realm = ask_patiently(lambda: _read_realm(hub, _connect(hub, kubernetes)), get_run_logger().info)
    plan = plan_client(hub, realm) + plan_roles(hub, realm) + _plan_secret(hub, realm.client, kubernetes)
    return KeycloakLook(realm_problems(hub, realm), plan, _mark(hub, realm.client))


@hub_task(name="ensure client", description="Makes or changes the hub's client in Keycloak.")
def ensure_client(hub: Hub, fence: Fence) -> Plan:
    """The client is as the profile says; returns what changed. A field that is not ours stays as it was."""
    keycloak = _connect(hub, Kubernetes.connect(), fence.check)
    realm = _read_realm(hub, keycloak)
    plan = plan_client(hub, realm)
    if realm.client is None:
        keycloak.create_client(new_client(hub))
    else:
        if client_differences(hub, realm.client):
            # All of ours, because Keycloak makes up some that are left out (webOrigins) of others.
            keycloak.update_client(realm.client, wanted_client(hub))
        for mapper in mapper_differences(hub, realm.client):
            keycloak.apply_mapper(realm.client, mapper)
    return plan


@hub_task(name="ensure roles", description="Makes the client's roles in Keycloak, and gives them to groups.")
def ensure_roles(hub: Hub, fence: Fence) -> Plan:
    """The client has the profile's roles, and groups have them where the account may say so; returns what changed."""
    keycloak = _connect(hub, Kubernetes.connect(), fence.check)
    realm = _read_realm(hub, keycloak)
    client = _require_client(hub, realm)
    plan = plan_roles(hub, realm)
    for role in hub.roles:
        if role not in client.roles:
            keycloak.create_role(client, role)
    if MANAGE_USERS in realm.may and any(True for _ in group_changes(hub, realm)):
        _ensure_groups(hub, keycloak, realm, client)
    return plan


@hub_task(name="ensure client secret", description="Keeps the client's secret in a Secret beside the hub.")
def ensure_client_secret(hub: Hub, fence: Fence) -> str:
    """The hub's namespace has the client's secret as Keycloak has it now; returns its mark."""
    kubernetes = Kubernetes.connect(may_write=fence.check)
    keycloak = _connect(hub, kubernetes)
    client = ask_patiently(lambda: keycloak.read_client(identity_of(hub).client_id), get_run_logger().info)
    secret = client.secret if client else None
    if secret is None:
        raise Permanent(
            "Keycloak", f"read the secret of client {identity_of(hub).client_id}", "it has none", "run again"
        )
    kubernetes.ensure(_wanted_secret(hub, secret))
    return _mark_of(hub, secret)


@hub_task(name="check claims", description="Asks Keycloak what it would tell the hub of the checking users.")
def check_claims(hub: Hub) -> None:
    """Keycloak itself says that the checking users would arrive with the roles that they should have.

    Raises Permanent with what it would send otherwise. Where the account may not ask, that is said in the log.
    """
    keycloak = _connect(hub, Kubernetes.connect())
    if VIEW_USERS not in keycloak.read_permissions():
        get_run_logger().warning("not checked what Keycloak would tell the hub: the account lacks %s", VIEW_USERS)
        return
    mistakes = ask_patiently(lambda: _claim_mistakes(hub, keycloak), get_run_logger().info)
    if mistakes:
        remedy = "compare the users' groups with identity.roles, and the client's mappers and scopes in Keycloak"
        raise Permanent("Keycloak", "evaluate what it would tell the hub", "; ".join(mistakes), remedy)


def _connect(hub: Hub, kubernetes: Kubernetes, may_write: Callable[[], None] = lambda: None) -> Keycloak:
    identity = identity_of(hub)
    return Keycloak.connect(identity, read_secret(identity.deployer.client_secret, kubernetes), may_write)


def _read_realm(hub: Hub, keycloak: Keycloak) -> SeenRealm:
    may = keycloak.read_permissions()
    client_id = identity_of(hub).client_id
    return SeenRealm(
        may,
        keycloak.read_client(client_id) if MANAGE_CLIENTS in may else None,
        keycloak.list_groups(wanted_groups(hub), client_id) if VIEW_USERS in may else None,
    )


def _require_client(hub: Hub, realm: SeenRealm) -> SeenClient:
    if realm.client is None:
        asked = f"find client {identity_of(hub).client_id}"
        raise Permanent("Keycloak", asked, "somebody deleted it meanwhile", "run again")
    return realm.client


def _ensure_groups(hub: Hub, keycloak: Keycloak, realm: SeenRealm, client: SeenClient) -> None:
    client_id = identity_of(hub).client_id
    for group in wanted_groups(hub).keys() - (realm.groups or {}).keys():
        keycloak.create_group(group)
    groups = keycloak.list_groups(wanted_groups(hub), client_id)
    for group, wanted in wanted_groups(hub).items():
        have = groups[group].roles & hub.roles.keys()
        for role in sorted(wanted - have):
            keycloak.map_role(client, groups[group], role)
        for role in sorted(have - wanted):
            keycloak.unmap_role(client, groups[group], role)


def _plan_secret(hub: Hub, client: SeenClient | None, kubernetes: Kubernetes) -> Plan:
    if client is None or client.secret is None:
        return Plan((Change.hidden(Action.CREATE, f"Secret {OIDC_SECRET}"),))
    return kubernetes.plan(_wanted_secret(hub, client.secret))


def _wanted_secret(hub: Hub, secret: SecretStr) -> WantedObject:
    data = {CLIENT_SECRET_KEY: base64.b64encode(secret.get_secret_value().encode()).decode()}
    return WantedObject(SECRET, OIDC_SECRET, hub.cluster.namespace, {"type": "Opaque", "data": data})


def _mark(hub: Hub, client: SeenClient | None) -> str | None:
    return _mark_of(hub, client.secret) if client and client.secret else None


def _mark_of(hub: Hub, secret: SecretStr) -> str:
    return mark_of([secret], f"{hub.cluster.namespace}/{hub.release.name}")


def _claim_mistakes(hub: Hub, keycloak: Keycloak) -> tuple[str, ...]:
    client = keycloak.read_client(identity_of(hub).client_id)
    assert client
    found: Mapping[str, Mapping[str, Any] | None] = {
        expected.user: keycloak.read_example_claims(client, expected.user) for expected in expectations(hub)
    }
    return claim_mistakes(hub, found)
