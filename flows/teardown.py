"""Take a hub down: a flow of its own, with a plan first. Volumes stay unless the hub's name is given a second time."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.logging import get_run_logger

from config.identity import KeycloakIdentity
from config.profiles import load_profile
from config.spec import Hub
from flows.deploy import Profile
from flows.endings import planned
from flows.fences import fence_of
from flows.forms import asked
from flows.plans import tell_plan
from tasks.cluster.removal import (
    check_removal,
    plan_cluster_removal,
    plan_volume_removal,
    remove_cluster,
    remove_volumes,
)
from tasks.core.change import Plan
from tasks.core.errors import Permanent
from tasks.core.fence import Fence
from tasks.core.problems import require_ready
from tasks.keycloak.removal import plan_keycloak_removal, remove_client
from tasks.monitoring.removal import check_monitoring_removal, plan_monitoring_removal, remove_monitoring
from tasks.registry.removal import plan_registry_removal, remove_from_registry
from tasks.release.removal import plan_release_removal, remove_release

Confirm = Annotated[str, asked("Confirm", "The hub's name, to take it down; without it, only the plan is shown.")]
Volumes = Annotated[str, asked("Volumes", "The hub's name once more, to delete its and its users' volumes too.")]
STAYS = "what stays: the namespace, the fence, the TLS Secret, Keycloak's groups and users, Harbor's project and images"


@flow(name="teardown", description="Takes a hub down. Its volumes stay, unless its name is given twice.")
def teardown(profile: Profile, confirm: Confirm = "", volumes: Volumes = "") -> Plan:
    """Nothing of the hub runs or is set up any more; returns what was deleted, or would be where nothing is confirmed.

    The volumes, and the keys of what is on them, are there unless ``volumes`` names the hub too: a later deploy of the
    same profile finds them.
    """
    hub = load_profile(profile)
    require_name(hub, "confirm", confirm)
    require_name(hub, "volumes", volumes)
    plan = plan_teardown(hub, volumes=bool(volumes))
    tell_plan(hub, plan)
    get_run_logger().info(STAYS if volumes else f"{STAYS}; and every volume, with the keys of the hub's database")
    if not confirm:
        get_run_logger().warning("nothing was touched: give the hub's name (%s) in confirm to take it down", hub.name)
        return planned(plan, plan)
    require_ready(hub.name, (*check_removal(hub), *check_monitoring_removal(hub)), "a teardown")
    if not plan.empty:
        with fence_of(hub) as fence:
            carry_out(hub, fence)
            if volumes:
                remove_volumes(hub, fence)
    return plan


def require_name(hub: Hub, parameter: str, given: str) -> None:
    """Raises Permanent when something was given that is not the hub's name."""
    if given not in ("", hub.name):
        remedy = f"give {hub.name}, or leave it out"
        raise Permanent("teardown", f"take {parameter}", f"{given!r} is not the name of this hub", remedy)


def plan_teardown(hub: Hub, *, volumes: bool) -> Plan:
    """Everything that a teardown deletes. Reads only."""
    steps = [plan_monitoring_removal, plan_release_removal]
    steps += [plan_keycloak_removal] if isinstance(hub.identity, KeycloakIdentity) else []
    steps += [plan_registry_removal] if hub.registry.harbor else []
    steps += [plan_cluster_removal]
    steps += [plan_volume_removal] if volumes else []
    submitted = [step.submit(hub) for step in steps]
    return sum((future.result() for future in submitted), Plan())


def carry_out(hub: Hub, fence: Fence) -> None:
    """The hub is gone but for its volumes: first what users see, at last the rights that it had."""
    remove_monitoring(hub, fence)
    remove_release(hub, fence)
    if isinstance(hub.identity, KeycloakIdentity):
        remove_client(hub, fence)
    if hub.registry.harbor:
        remove_from_registry(hub, fence)
    remove_cluster(hub, fence)
