"""Phase monitoring: Prometheus collects the hub's metrics, and Grafana shows them."""

from __future__ import annotations

from prefect.logging import get_run_logger

from config.spec import Hub
from tasks.core.access import access_problems
from tasks.core.change import Plan
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.problems import Problem
from tasks.core.task import hub_task
from tasks.monitoring.plan import SERVICE_MONITOR, Operator, TokenRef, permissions, wanted_objects

NO_OPERATOR = (
    "the cluster has no Prometheus Operator (no ServiceMonitor): metrics are not collected; install it and deploy again"
)


@hub_task(name="check monitoring", description="Looks whether the account may set up what this cluster can collect.")
def check_monitoring(hub: Hub) -> tuple[Problem, ...]:
    """What stands in the way of this phase. Reads only."""
    kubernetes = Kubernetes.connect()
    needed = permissions(hub, _look_for_operator(kubernetes))
    return access_problems(kubernetes.list_denied(needed, hub.cluster.namespace)) if needed else ()


@hub_task(name="plan monitoring", description="Compares the ServiceMonitor and dashboard with what is there.")
def plan_monitoring(hub: Hub, token: TokenRef) -> Plan:
    """What ``ensure_monitoring`` would change; says so when the cluster cannot collect metrics. Reads only."""
    kubernetes = Kubernetes.connect()
    operator = _look_for_operator(kubernetes)
    if hub.monitoring and operator is Operator.ABSENT:
        get_run_logger().info(NO_OPERATOR)
    return sum((kubernetes.plan(wanted) for wanted in wanted_objects(hub, token, operator)), Plan())


@hub_task(name="ensure monitoring", description="Makes or changes the ServiceMonitor and the dashboard.")
def ensure_monitoring(hub: Hub, token: TokenRef, fence: Fence) -> Plan:
    """Prometheus and Grafana know of the hub what the spec says; returns what changed. Nothing is deleted."""
    kubernetes = Kubernetes.connect(may_write=fence.check)
    done = Plan()
    for wanted in wanted_objects(hub, token, _look_for_operator(kubernetes)):
        changes = kubernetes.ensure(wanted)
        if not changes.empty:
            get_run_logger().info("%s is as it should be", wanted.title)
        done += changes
    return done


def _look_for_operator(kubernetes: Kubernetes) -> Operator:
    return Operator.PRESENT if kubernetes.knows(SERVICE_MONITOR) else Operator.ABSENT
