"""Phase keycloak, the end: the hub's client is gone, with its roles. Groups and users are the company's, and stay."""

from __future__ import annotations

from config.spec import Hub
from tasks.core.change import Action, Change, Plan
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.task import hub_task
from tasks.keycloak.phase import look
from tasks.keycloak.plan import identity_of
from tasks.keycloak.state import ClientStatus, status_of


@hub_task(name="plan Keycloak removal", description="Looks for the hub's client in Keycloak.")
def plan_keycloak_removal(hub: Hub) -> Plan:
    """What ``remove_client`` would delete. Reads only."""
    _, realm = look(hub, Kubernetes.connect())
    if status_of(realm.client)[0] is not ClientStatus.PRESENT:
        return Plan()
    return Plan((Change.of(Action.DELETE, f"Client {identity_of(hub).client_id}", "with its roles"),))


@hub_task(name="remove client", description="Deletes the hub's client in Keycloak, with its roles.")
def remove_client(hub: Hub, fence: Fence) -> None:
    """There is no such client. One that is not of the kind that a hub uses is somebody else's, and stays."""
    keycloak, realm = look(hub, Kubernetes.connect(), fence.check)
    if realm.client and status_of(realm.client)[0] is ClientStatus.PRESENT:
        keycloak.delete_client(realm.client)
