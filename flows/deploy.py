"""Deploy a hub: each phase in its order, checks, record; and back to the last healthy release when that fails."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import BaseModel, ConfigDict, Field

from config.images import PinnedImages
from config.profiles import load_profile, profile_names
from config.spec import Hub
from tasks.cluster.phase import check_cluster, ensure_cluster, ensure_namespace, plan_cluster
from tasks.core.artifacts import show_checks, show_link, show_plan, show_problems
from tasks.core.change import Plan
from tasks.core.errors import HubError
from tasks.core.fence import Claim, Fence, FenceLost, hold_fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.names import CHART_SECRET, METRICS_SERVICE, token_key
from tasks.core.problems import Gathering, require_ready
from tasks.core.records import CheckResult, ReleaseRecord
from tasks.monitoring.phase import check_monitoring, ensure_monitoring, plan_monitoring
from tasks.monitoring.plan import TokenRef
from tasks.registry.phase import pin_images
from tasks.release.phase import (
    check_release,
    ensure_release,
    fetch_chart,
    plan_release,
    record_release,
    restore_release,
    want_release,
)
from tasks.release.plan import WantedRelease
from tasks.validation.phase import check_hub, require_passed

Profile = Annotated[
    str, Field(title="Profile", description="The hub to deploy.", json_schema_extra={"enum": [*profile_names()]})
]
METRICS_TOKEN = TokenRef(CHART_SECRET, token_key(METRICS_SERVICE))
PlanOnly = Annotated[bool, Field(title="Plan only", description="Show what would change, and change nothing.")]


class DeployResult(BaseModel):
    """What a run ends with: the plan, and, unless only that was asked for, the record of what runs now."""

    model_config = ConfigDict(frozen=True)

    plan: Plan
    record: ReleaseRecord | None = None

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """How the checks of this run ended."""
        return self.record.checks if self.record else ()


@flow(name="deploy", description="Deploys a hub, checks it as a user would, and records it.")
def deploy(profile: Profile, plan_only: PlanOnly = False) -> DeployResult:
    """The hub is as its profile says, its checks passed, and that is on record.

    When a step fails, the newest healthy release serves again and the run ends Failed.
    """
    hub = load_profile(profile)
    with TemporaryDirectory(prefix="hubwright-") as folder:
        images, release = prepare(hub, Path(folder))
        plan = make_plan(hub, release)
        if plan_only:
            return DeployResult(plan=plan)
        ensure_namespace(hub)
        with fence_of(hub) as fence:
            record = carry_out(hub, images, release, fence)
    show_link(hub.name, hub.url)
    return DeployResult(plan=plan, record=record)


def prepare(hub: Hub, folder: Path) -> tuple[PinnedImages, WantedRelease]:
    """What is to run is known, and the cluster has what that needs; else NotReady with everything that is missing."""
    gathering = Gathering()
    images = gathering.attempt(pin_images, hub)
    chart = gathering.attempt(fetch_chart, hub, folder)
    answers = gathering.add(gathering.attempt(check_cluster, hub))
    if answers:
        gathering.add(gathering.attempt(check_release, hub, chart))
        gathering.add(gathering.attempt(check_monitoring, hub))
    release = gathering.attempt(want_release, hub, images, chart) if answers and images and chart else None
    for problem in gathering.problems:
        get_run_logger().warning("%s", problem)
    show_problems(hub.name, gathering.problems)
    require_ready(hub.name, gathering.problems)
    assert images
    assert release
    return images, release


def make_plan(hub: Hub, release: WantedRelease) -> Plan:
    """Everything that a deploy would change, shown before anything is touched."""
    plan = plan_cluster(hub) + plan_release(hub, release) + plan_monitoring(hub, METRICS_TOKEN)
    show_plan(hub.name, plan)
    for change in plan:
        get_run_logger().info("plan: %s", change)
    return plan


def carry_out(hub: Hub, images: PinnedImages, release: WantedRelease, fence: Fence) -> ReleaseRecord:
    """Each phase in its order, and back to the newest healthy release when one fails."""
    try:
        ensure_cluster(hub, fence)
        deployed = ensure_release(hub, release, fence)
        ensure_monitoring(hub, METRICS_TOKEN, fence)
        checks = check_hub(hub, images.notebook)
        record = record_release(hub, images.notebook, deployed, checks, fence)
        show_checks(hub.name, checks)
        require_passed(checks)
    except FenceLost:
        raise  # whoever has the fence now decides what serves
    except HubError as error:
        get_run_logger().error("%s", error)
        restore_release(hub, fence)
        raise
    return record


@contextmanager
def fence_of(hub: Hub) -> Generator[Fence]:
    """No other run changes the hub, whoever started it, and wherever it runs."""
    holder = f"{flow_run.name} ({flow_run.id}) on {socket.gethostname()}"
    claim = Claim(hub.cluster.namespace, f"{hub.release.name}-hubwright", holder)
    with hold_fence(Kubernetes.connect(), claim, get_run_logger().info) as fence:
        yield fence
