"""Phase cluster: namespace, service account, Role, RoleBinding, secrets and shared volume exist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import ParamSpec, TypeVar

from prefect.logging import get_run_logger

from config.spec import Hub
from tasks.cluster.plan import HubSecrets, permissions, plan_claim, wanted_namespace, wanted_objects
from tasks.cluster.preflight import cluster_problems
from tasks.cluster.secrets import read_chosen, read_keys
from tasks.cluster.state import SeenCluster
from tasks.core.access import access_problems
from tasks.core.change import Plan
from tasks.core.errors import Permanent
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import (
    CLAIM,
    INGRESS_CLASS,
    LIMIT_RANGE,
    NAMESPACE,
    NODE,
    QUOTA,
    SECRET,
    STORAGE_CLASS,
    Access,
    Body,
    Kind,
    WantedObject,
)
from tasks.core.problems import Problem
from tasks.core.task import hub_task

P = ParamSpec("P")
R = TypeVar("R")

READERS = 8
"""Objects are read so many at a time."""


@hub_task(name="check cluster", description="Looks for what the hub needs of the cluster and does not have.")
def check_cluster(hub: Hub) -> tuple[Problem, ...]:
    """What stands in the way of this phase, and of users' servers. Reads only."""
    kubernetes = Kubernetes.connect()
    kubernetes.read_version()  # the first question, so that one clear error says that nobody answers
    namespace = _look(kubernetes.read, NAMESPACE, hub.cluster.namespace, None)
    needed = (*permissions(hub), *(() if namespace else (Access("create", NAMESPACE, None),)))
    with ThreadPoolExecutor(READERS) as pool:
        denied = pool.submit(kubernetes.list_denied, needed, hub.cluster.namespace)
        found = cluster_problems(hub, _see(hub, kubernetes, pool), datetime.now(UTC))
        return (*access_problems(denied.result()), *found)


@hub_task(name="plan cluster", description="Compares the objects that the hub needs with those that are there.")
def plan_cluster(hub: Hub) -> Plan:
    """What ``ensure_cluster`` would change. Reads only."""
    kubernetes = Kubernetes.connect()
    wanted = (wanted_namespace(hub), *wanted_objects(hub, _read_secrets(hub, kubernetes)))
    with ThreadPoolExecutor(READERS) as pool:
        return sum(pool.map(partial(_plan_one, kubernetes), wanted), Plan())


@hub_task(name="ensure namespace", description="Makes the hub's namespace, in which the fence is.")
def ensure_namespace(hub: Hub) -> Plan:
    """The namespace is there; returns what changed."""
    return Kubernetes.connect().ensure(wanted_namespace(hub))


@hub_task(name="ensure cluster", description="Makes or changes the objects that the hub needs.")
def ensure_cluster(hub: Hub, fence: Fence) -> Plan:
    """The objects that the hub needs are as the spec says; returns what changed."""
    kubernetes = Kubernetes.connect(may_write=fence.check)
    done = Plan()
    for wanted in wanted_objects(hub, _read_secrets(hub, kubernetes)):
        if not _plan_one(kubernetes, wanted).empty:
            done += kubernetes.ensure(wanted)
            get_run_logger().info("%s is as it should be", wanted.title)
    return done


def _see(hub: Hub, kubernetes: Kubernetes, pool: ThreadPoolExecutor) -> SeenCluster:
    def submit(kind: Kind, namespace: str | None) -> Future[Sequence[Body] | None]:
        return pool.submit(_look, kubernetes.list, kind, namespace)

    classes, ingress_classes, nodes = (submit(kind, None) for kind in (STORAGE_CLASS, INGRESS_CLASS, NODE))
    claims, quotas, limits = (submit(kind, hub.cluster.namespace) for kind in (CLAIM, QUOTA, LIMIT_RANGE))
    tls = pool.submit(_look, _read_tls_secret, hub, kubernetes)
    return SeenCluster(
        storage_classes=classes.result(),
        ingress_classes=ingress_classes.result(),
        nodes=nodes.result(),
        claims=claims.result(),
        quotas=quotas.result(),
        limit_ranges=limits.result(),
        tls_secrets=tls.result(),
    )


def _read_tls_secret(hub: Hub, kubernetes: Kubernetes) -> Sequence[Body]:
    if hub.ingress is None:
        return ()
    found = kubernetes.read(SECRET, hub.ingress.tls_secret, hub.cluster.namespace)
    return (found,) if found else ()


def _look(look: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """What is there; None for what the account may not see: that keeps us from checking, not from deploying."""
    try:
        return look(*args, **kwargs)
    except Permanent:
        return None


def _plan_one(kubernetes: Kubernetes, wanted: WantedObject) -> Plan:
    if wanted.kind != CLAIM:
        return kubernetes.plan(wanted)
    seen = kubernetes.read(wanted.kind, wanted.name, wanted.namespace)
    return plan_claim(wanted, seen, growable=lambda: _grows(kubernetes, wanted))


def _grows(kubernetes: Kubernetes, claim: WantedObject) -> bool:
    storage_class = kubernetes.read(STORAGE_CLASS, claim.fields["spec"]["storageClassName"], None) or {}
    return bool(storage_class.get("allowVolumeExpansion"))


def _read_secrets(hub: Hub, kubernetes: Kubernetes) -> HubSecrets:
    """What people chose, from where the profile says, and the keys that were drawn once, or new ones."""
    return HubSecrets(read_chosen(hub, kubernetes), read_keys(hub, kubernetes))
