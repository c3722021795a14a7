"""Phase registry, the tag that the hub follows: read in Harbor."""

from __future__ import annotations

from prefect.logging import get_run_logger

from config.spec import Hub
from tasks.core.kubernetes import Kubernetes
from tasks.core.task import hub_task
from tasks.core.wait import ask_patiently
from tasks.registry.following import Followed, read_followed
from tasks.registry.look import as_user


@hub_task(name="read tag", description="Reads in Harbor what the tag stands for that the hub follows.")
def read_tag(hub: Hub) -> Followed | None:
    """What the tag stands for; None when Harbor does not have it. Reads only, and waits for a Harbor that restarts."""
    with as_user(hub, Kubernetes.connect()) as harbor:
        return ask_patiently(lambda: read_followed(hub, harbor), get_run_logger().info)
