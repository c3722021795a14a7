"""The fences that keep runs apart, whoever started them, and wherever they run."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager

from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from config.spec import Hub
from tasks.core.fence import BOUND_SECONDS, Claim, Fence, hold_fence
from tasks.core.kubernetes import Kubernetes


@contextmanager
def fence_of(hub: Hub, what: str = "", *, seconds: float = BOUND_SECONDS) -> Generator[Fence]:
    """No other run changes the hub; with ``what``, no other run works at that part of it.

    Another one is waited for, up to ``seconds``; then it raises FenceHeld, naming that run.
    """
    holder = f"{flow_run.name} ({flow_run.id}) on {socket.gethostname()}"
    name = "-".join(filter(None, (hub.release.name, "hubwright", what)))
    claim = Claim(hub.cluster.namespace, name, holder)
    with hold_fence(Kubernetes.connect(), claim, get_run_logger().info, bound=seconds) as fence:
        yield fence
