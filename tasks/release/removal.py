"""Phase release, the end: no pod of the hub runs, and neither Helm nor a record knows of it. Volumes stay."""

from __future__ import annotations

from collections.abc import Iterable

from prefect.logging import get_run_logger

from config.spec import Hub
from tasks.core.change import Action, Change, Plan
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.names import NOTICE_CONFIG
from tasks.core.objects import CONFIG_MAP, POD, WantedObject
from tasks.core.records import LABEL
from tasks.core.removal import ensure_removed, plan_removal
from tasks.core.task import hub_task
from tasks.core.wait import wait_until
from tasks.release.client import Helm
from tasks.release.upgrade import timeout

SERVERS = "component=singleuser-server"
STOP_SECONDS = 120


@hub_task(name="plan release removal", description="Lists what a teardown ends: release, users' servers, records.")
def plan_release_removal(hub: Hub) -> Plan:
    """What ``remove_release`` would end. Reads only."""
    kubernetes = Kubernetes.connect()
    newest = Helm(hub.cluster.namespace).read_revision(hub.release.name)
    found = [Change.of(Action.DELETE, f"Release {hub.release.name}", newest.revision.chart)] if newest else []
    return Plan(tuple(found)) + plan_removal(kubernetes, (*_servers(hub, kubernetes), *_configs(hub, kubernetes)))


@hub_task(name="remove release", description="Uninstalls the Helm release, and ends users' servers.")
def remove_release(hub: Hub, fence: Fence) -> None:
    """No pod of the hub runs; its volumes are there, and nobody uses them."""
    kubernetes, helm = Kubernetes.connect(may_write=fence.check), Helm(hub.cluster.namespace, fence.check)
    if helm.list_revisions(hub.release.name):
        helm.uninstall(hub.release.name, timeout(hub), get_run_logger().info)
    # The hub would have started them anew, so they end after it.
    ensure_removed(kubernetes, _servers(hub, kubernetes))
    wait_until(
        "Kubernetes",
        "end users' servers",
        lambda: ", ".join(one.title for one in _servers(hub, kubernetes)),
        seconds=STOP_SECONDS,
        remedy="look at the pods that do not end: kubectl describe pod",
        say=lambda left: get_run_logger().info("still there: %s", left),
        every=2,
    )
    ensure_removed(kubernetes, _configs(hub, kubernetes))


def _servers(hub: Hub, kubernetes: Kubernetes) -> Iterable[WantedObject]:
    pods = kubernetes.list(POD, hub.cluster.namespace, SERVERS)
    return [WantedObject(POD, one["metadata"]["name"], hub.cluster.namespace) for one in pods]


def _configs(hub: Hub, kubernetes: Kubernetes) -> Iterable[WantedObject]:
    """The records, and what users were told."""
    namespace = hub.cluster.namespace
    records = kubernetes.list(CONFIG_MAP, namespace, f"{LABEL}={hub.release.name}")
    names = [NOTICE_CONFIG, *(one["metadata"]["name"] for one in records)]
    return [WantedObject(CONFIG_MAP, name, namespace) for name in names]
