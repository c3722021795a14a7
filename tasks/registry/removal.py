"""Phase registry, the end: the hub's robots and its webhook are gone. The project, its images and rules stay."""

from __future__ import annotations

from prefect.logging import get_run_logger

from config.spec import Hub
from tasks.core.change import Action, Change, Plan
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import SECRET, WantedObject
from tasks.core.removal import ensure_removed, plan_removal
from tasks.core.task import hub_task
from tasks.registry.phase import looked
from tasks.registry.policies import own_webhook
from tasks.registry.state import Kind, SeenHarbor, SeenRobot


@hub_task(name="plan registry removal", description="Looks for the hub's robots and webhook in Harbor.")
def plan_registry_removal(hub: Hub) -> Plan:
    """What ``remove_from_registry`` would delete. Reads only."""
    kubernetes = Kubernetes.connect()
    with looked(hub, kubernetes) as (_, seen):
        names = [f"Robot {robot.name}" for robot in _robots(hub, seen)]
        policy = own_webhook(hub, seen)
        names += [f"Webhook {policy.fields['name']}"] if policy else []
    plan = Plan(tuple(Change.of(Action.DELETE, name) for name in names))
    return plan + plan_removal(kubernetes, _secrets(hub))


@hub_task(name="remove from registry", description="Deletes the hub's robots and its webhook in Harbor.")
def remove_from_registry(hub: Hub, fence: Fence) -> None:
    """No robot and no webhook of the hub is there, and no login of one beside it."""
    kubernetes = Kubernetes.connect(may_write=fence.check)
    with looked(hub, kubernetes, fence.check) as (harbor, seen):
        for robot in _robots(hub, seen):
            harbor.delete_robot(robot)
            get_run_logger().info("robot %s is deleted", robot.name)
        policy = own_webhook(hub, seen)
        if policy:
            harbor.delete_policy(policy.id)
    ensure_removed(kubernetes, _secrets(hub))


def _robots(hub: Hub, seen: SeenHarbor) -> list[SeenRobot]:
    return [robot for kind in Kind if (robot := seen.robot(hub, kind))]


def _secrets(hub: Hub) -> list[WantedObject]:
    return [WantedObject(SECRET, kind.secret, hub.cluster.namespace) for kind in Kind]
