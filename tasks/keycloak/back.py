"""Phase keycloak, going back: groups lose the roles that only a profile gave them that did not prove good."""

from __future__ import annotations

from prefect.logging import get_run_logger

from config.spec import Hub
from tasks.core.change import Action, Change, Plan
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.task import hub_task
from tasks.keycloak.phase import look
from tasks.keycloak.plan import plan_client, plan_roles, roles_to_take
from tasks.keycloak.state import MANAGE_USERS


@hub_task(name="plan Keycloak back", description="Compares the realm with what the release to go back to had of it.")
def plan_keycloak_back(present: Hub, back: Hub) -> Plan:
    """What going back changes in Keycloak. Reads only."""
    _, realm = look(back, Kubernetes.connect())
    taken = (
        Change.of(Action.DELETE, f"Role {role} of group {group}")
        for group, roles in roles_to_take(present, back, realm).items()
        for role in sorted(roles)
    )
    may = MANAGE_USERS in realm.may
    return plan_client(back, realm) + plan_roles(back, realm) + (Plan(tuple(taken)) if may else Plan())


@hub_task(name="take roles back", description="Takes from groups the roles that only the present profile gives them.")
def take_roles_back(present: Hub, back: Hub, fence: Fence) -> None:
    """No group has a role of the hub's client that the present profile gave it, and ``back`` does not.

    The groups and the roles stay. An account that may not change groups is told so in the log.
    """
    keycloak, realm = look(back, Kubernetes.connect(), fence.check)
    wanted = roles_to_take(present, back, realm)
    if wanted and MANAGE_USERS not in realm.may:
        get_run_logger().warning("groups keep their roles, because the account lacks %s: %s", MANAGE_USERS, wanted)
        return
    for name, roles in wanted.items():
        group = realm.find_group(name)
        assert group, "it has these roles"
        assert realm.client, "they are its roles"
        keycloak.unmap_roles(realm.client, group, roles)
