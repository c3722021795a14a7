"""Phase cluster, the end: the hub's objects are gone; its volumes, and the keys of what is on them, only if told so."""

from __future__ import annotations

from collections.abc import Iterable

from config.spec import Hub
from tasks.cluster.plan import HubSecrets, wanted_objects
from tasks.cluster.secrets import chosen_refs
from tasks.core.access import access_problems
from tasks.core.change import Plan
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.names import CHART_SECRET, KEYS_SECRET, copy_of
from tasks.core.objects import CLAIM, ROLE, ROLE_BINDING, SECRET, SERVICE_ACCOUNT, Access, WantedObject
from tasks.core.problems import Problem
from tasks.core.removal import ensure_removed, plan_removal
from tasks.core.task import hub_task

DATABASE_CLAIM = "hub-db-dir"
"""The chart's claim of the hub's database (4.4.0, templates/hub/pvc.yaml)."""
REMOVED = (SERVICE_ACCOUNT, ROLE, ROLE_BINDING, SECRET, CLAIM)
HOMES = "component=singleuser-storage"
"""Users' own claims, as KubeSpawner labels them (7.1, storage_extra_labels of the chart)."""


@hub_task(name="check removal", description="Looks whether the account may remove what the hub has in the cluster.")
def check_removal(hub: Hub) -> tuple[Problem, ...]:
    """What stands in the way of a teardown. Reads only."""
    wanted = [Access("delete", kind, hub.cluster.namespace) for kind in REMOVED]
    return access_problems(Kubernetes.connect().list_denied(wanted, hub.cluster.namespace))


@hub_task(name="plan cluster removal", description="Lists the hub's objects that a teardown deletes.")
def plan_cluster_removal(hub: Hub) -> Plan:
    """What ``remove_cluster`` would delete. Reads only."""
    return plan_removal(Kubernetes.connect(), _objects(hub))


@hub_task(name="remove cluster", description="Deletes the hub's account, rights and passwords.")
def remove_cluster(hub: Hub, fence: Fence) -> None:
    """None of the hub's objects is there but its namespace, its fence, its volumes, and the keys of its database."""
    ensure_removed(Kubernetes.connect(may_write=fence.check), _objects(hub))


@hub_task(name="plan volume removal", description="Lists the volumes that a teardown deletes when it is told to.")
def plan_volume_removal(hub: Hub) -> Plan:
    """What ``remove_volumes`` would delete. Reads only."""
    kubernetes = Kubernetes.connect()
    return plan_removal(kubernetes, _volumes(hub, kubernetes))


@hub_task(name="remove volumes", description="Deletes the volumes of the hub and of its users, with all their files.")
def remove_volumes(hub: Hub, fence: Fence) -> None:
    """No volume of the hub is there, nor the keys of what was on them."""
    kubernetes = Kubernetes.connect(may_write=fence.check)
    ensure_removed(kubernetes, _volumes(hub, kubernetes))


def _objects(hub: Hub) -> Iterable[WantedObject]:
    secrets = HubSecrets({one: {} for name in chosen_refs(hub) for one in (name, copy_of(name))}, {})
    wanted = wanted_objects(hub, secrets)
    return [one for one in reversed(wanted) if one.kind != CLAIM and one.name not in (KEYS_SECRET, CHART_SECRET)]


def _volumes(hub: Hub, kubernetes: Kubernetes) -> Iterable[WantedObject]:
    namespace, shared = hub.cluster.namespace, hub.storage.shared
    claims = [DATABASE_CLAIM, *([shared.claim] if shared else [])]
    claims += [one["metadata"]["name"] for one in kubernetes.list(CLAIM, namespace, HOMES)]
    return [
        *(WantedObject(CLAIM, name, namespace) for name in claims),
        WantedObject(SECRET, KEYS_SECRET, namespace),
        WantedObject(SECRET, CHART_SECRET, namespace),
    ]
