"""Phase monitoring, the end: Prometheus and Grafana know nothing of the hub any more."""

from __future__ import annotations

from collections.abc import Iterable

from config.spec import Hub
from tasks.core.access import access_problems
from tasks.core.change import Plan
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import CONFIG_MAP, Access, WantedObject
from tasks.core.problems import Problem
from tasks.core.removal import ensure_removed, plan_removal
from tasks.core.task import hub_task
from tasks.monitoring.plan import DASHBOARD, MONITOR, SERVICE_MONITOR


@hub_task(name="check monitoring removal", description="Looks whether the account may remove the monitoring.")
def check_monitoring_removal(hub: Hub) -> tuple[Problem, ...]:
    """What stands in the way of this. Reads only."""
    kubernetes = Kubernetes.connect()
    denied = [Access("delete", one.kind, one.namespace) for one in _objects(hub, kubernetes)]
    return access_problems(kubernetes.list_denied(denied, hub.cluster.namespace))


@hub_task(name="plan monitoring removal", description="Lists what a teardown deletes of the monitoring.")
def plan_monitoring_removal(hub: Hub) -> Plan:
    """What ``remove_monitoring`` would delete. Reads only."""
    kubernetes = Kubernetes.connect()
    return plan_removal(kubernetes, _objects(hub, kubernetes))


@hub_task(name="remove monitoring", description="Deletes the ServiceMonitor and the dashboard.")
def remove_monitoring(hub: Hub, fence: Fence) -> None:
    """Neither is there."""
    kubernetes = Kubernetes.connect(may_write=fence.check)
    ensure_removed(kubernetes, _objects(hub, kubernetes))


def _objects(hub: Hub, kubernetes: Kubernetes) -> Iterable[WantedObject]:
    """Also where the profile wants no monitoring any more: it may have wanted some once."""
    kinds = {DASHBOARD: CONFIG_MAP, **({MONITOR: SERVICE_MONITOR} if kubernetes.knows(SERVICE_MONITOR) else {})}
    return [WantedObject(kind, name, hub.cluster.namespace) for name, kind in kinds.items()]
