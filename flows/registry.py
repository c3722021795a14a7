"""How a flow sees to the hub's Harbor: it looks at it, and sets it up."""

from __future__ import annotations

from prefect.logging import get_run_logger

from config.spec import Hub
from flows.fences import fence_of
from tasks.cluster.phase import ensure_namespace
from tasks.core.change import Plan
from tasks.core.fence import Fence
from tasks.core.problems import Gathering
from tasks.registry.phase import ensure_policies, ensure_project, ensure_robots, look_at_registry


def look_at_harbor(hub: Hub, looks: Gathering) -> Plan:
    """What would change in Harbor; nothing for a hub whose images are only read. ``looks`` has what is wrong."""
    if hub.registry.harbor is None:
        return Plan()
    look = looks.attempt(look_at_registry, hub)
    if look is None:
        return Plan()
    looks.add(look.problems)
    return look.plan


def set_up_harbor(hub: Hub, fence: Fence) -> None:
    """Project, robots and rules are as the profile says, and nodes can pull the image."""
    if hub.registry.harbor is None:
        return
    ensure_project(hub, fence)
    ensure_robots(hub, fence)
    ensure_policies(hub, fence)


def set_up_if_needed(hub: Hub, plan: Plan) -> None:
    """What a look found is put right, alone at the hub; nothing is written when that is nothing."""
    for change in plan:
        get_run_logger().info("plan: %s", change)
    if plan.empty:
        return
    ensure_namespace(hub)
    with fence_of(hub) as fence:
        set_up_harbor(hub, fence)
