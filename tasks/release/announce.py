"""Phase release, before the proxy restarts: users are told, and have some time to come to a good place."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from prefect.logging import get_run_logger

from config.spec import Hub
from config.types import parse_duration
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import POD, Body
from tasks.core.task import hub_task
from tasks.release.notice import wanted_notice

SERVERS = "component=singleuser-server"
TOLD_ANNOTATION = "hubwright.io/told-at"
SAY_SECONDS = 15


@hub_task(name="announce restart", description="Tells users that the proxy restarts, and waits as long as agreed.")
def announce_restart(hub: Hub, fence: Fence) -> None:
    """Users have read on the hub's pages for ``release.notice`` that the proxy restarts.

    Nothing is done where nobody has a server that runs, and where the profile has no time for it.
    """
    kubernetes = Kubernetes.connect(may_write=fence.check)
    servers = kubernetes.list(POD, hub.cluster.namespace, SERVERS)
    if not servers or hub.release.notice is None:
        return
    seconds = parse_duration(hub.release.notice).total_seconds()
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    kubernetes.ensure(wanted_notice(hub.cluster.namespace, end))
    for pod in kubernetes.list(POD, hub.cluster.namespace, "component=hub"):
        _have_it_read(kubernetes, pod, end)
    get_run_logger().info("%s servers run: their users are told that the proxy restarts at %s", len(servers), end)
    _wait(seconds, fence)


def _have_it_read(kubernetes: Kubernetes, pod: Body, end: datetime) -> None:
    """The kubelet looks at a pod's ConfigMaps about once a minute, and when the pod changes."""
    fields = {"metadata": {"annotations": {TOLD_ANNOTATION: end.isoformat()}}}
    kubernetes.merge(POD, pod["metadata"]["name"], pod["metadata"]["namespace"], fields)


def _wait(seconds: float, fence: Fence) -> None:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        fence.check()
        get_run_logger().info("the proxy restarts in %.0f s", left)
        time.sleep(min(left, SAY_SECONDS))
