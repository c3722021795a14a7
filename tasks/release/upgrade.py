"""How the release is changed: Helm is at work, its pods are watched, and the proxy's routes are put back."""

from __future__ import annotations

import base64
from pathlib import Path

from prefect.logging import get_run_logger
from pydantic import SecretStr

from config.spec import Hub
from config.types import parse_duration
from tasks.core.address import Address
from tasks.core.errors import HubError
from tasks.core.kubernetes import Kubernetes
from tasks.core.names import CHART_SECRET, ROUTES_SERVICE, token_key
from tasks.core.objects import SECRET
from tasks.core.pods import PodWatch
from tasks.release.client import Helm
from tasks.release.hub import restore_routes
from tasks.release.state import ReleaseStatus, last_good, status_of
from tasks.release.values import Values

HUB_PODS = "component in (hub, proxy)"


def upgrade_release(hub: Hub, helm: Helm, kubernetes: Kubernetes, chart: Path, values: Values) -> None:
    """A new revision runs this chart with these values, and its pods are ready."""
    _unlock(hub, helm)
    watch = PodWatch(kubernetes, hub.cluster.namespace, HUB_PODS, get_run_logger().info)
    helm.upgrade(hub.release.name, chart, values, timeout(hub), get_run_logger().info, watch.look)
    _restore_routes(hub, kubernetes)


def roll_back_release(hub: Hub, helm: Helm, kubernetes: Kubernetes, revision: int) -> None:
    """A new revision runs what ``revision`` ran, and its pods are ready. A pending one is no obstacle to that."""
    watch = PodWatch(kubernetes, hub.cluster.namespace, HUB_PODS, get_run_logger().info)
    helm.rollback(hub.release.name, revision, timeout(hub), get_run_logger().info, watch.look)
    _restore_routes(hub, kubernetes)


def timeout(hub: Hub) -> float:
    """How many seconds Helm waits for the pods."""
    return parse_duration(hub.release.timeout).total_seconds()


def _unlock(hub: Hub, helm: Helm) -> None:
    history = helm.list_revisions(hub.release.name)
    status, reason = status_of(history)
    if status is ReleaseStatus.PENDING:
        target = last_good(history) or history[-1].number
        get_run_logger().warning("%s; going to revision %s to free it", reason, target)
        helm.free(hub.release.name, target)


def _restore_routes(hub: Hub, kubernetes: Kubernetes) -> None:
    """Not worth failing for: the hub puts them back itself a little later."""
    secret = kubernetes.read(SECRET, CHART_SECRET, hub.cluster.namespace) or {}
    token = base64.b64decode(secret.get("data", {}).get(token_key(ROUTES_SERVICE), "")).decode()
    try:
        restore_routes(Address.of(hub), SecretStr(token))
    except HubError as error:
        get_run_logger().warning("the proxy's routes come back by themselves in some seconds: %s", error)
