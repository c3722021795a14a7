"""The fences that keep runs apart, whoever started them, and wherever they run."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager

from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from config.spec import Hub
from tasks.core.fence import BOUND_SECONDS, LEASE_SECONDS, Claim, Fence, Holder, hold_fence, read_holder
from tasks.core.kubernetes import Kubernetes
from tasks.core.wait import ask_patiently

SEEN_DEAD_SECONDS = LEASE_SECONDS + 10.0
"""Within this time a holder of the fence that died is known to be dead; one that lives is left to its work."""


@contextmanager
def fence_of(hub: Hub, what: str = "", *, seconds: float = BOUND_SECONDS) -> Generator[Fence]:
    """No other run changes the hub; with ``what``, no other run works at that part of it.

    Another one is waited for, up to ``seconds``; then it raises FenceHeld, naming that run.
    """
    holder = f"{flow_run.name} ({flow_run.id}) on {socket.gethostname()}"
    claim = Claim(hub.cluster.namespace, _lease(hub, what), holder)
    with hold_fence(Kubernetes.connect(), claim, get_run_logger().info, bound=seconds) as fence:
        yield fence


def holder_of(hub: Hub) -> Holder:
    """Who changes the hub just now, or died at it. Reads only: the fence is neither taken nor waited for."""
    kubernetes = Kubernetes.connect()

    def look() -> Holder:
        return read_holder(kubernetes, hub.cluster.namespace, _lease(hub), bound=SEEN_DEAD_SECONDS)

    return ask_patiently(look, get_run_logger().info)


def _lease(hub: Hub, what: str = "") -> str:
    return "-".join(filter(None, (hub.release.name, "hubwright", what)))
