"""How a flow sees to the hub's Harbor: it looks at it, and sets it up."""

from __future__ import annotations

from config.spec import Hub
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
