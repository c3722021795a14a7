"""Deploy a hub: cluster, release, validation, record; and back to the last healthy release when that fails."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import BaseModel, ConfigDict, Field

from config.images import PinnedImages
from config.profiles import load_profile, profile_names
from config.spec import Hub
from tasks.cluster.phase import ensure_cluster, plan_cluster
from tasks.cluster.plan import PASSWORDS_SECRET
from tasks.core.artifacts import show_checks, show_link, show_plan
from tasks.core.change import Plan
from tasks.core.errors import HubError
from tasks.core.records import CheckResult, ReleaseRecord
from tasks.registry.phase import pin_images
from tasks.release.phase import ensure_release, plan_release, record_release, restore_release
from tasks.validation.phase import check_hub, require_passed

Profile = Annotated[
    str, Field(title="Profile", description="The hub to deploy.", json_schema_extra={"enum": [*profile_names()]})
]
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
    images = pin_images(hub)
    plan = make_plan(hub, images)
    if plan_only:
        return DeployResult(plan=plan)
    try:
        ensure_cluster(hub)
        release = ensure_release(hub, images, PASSWORDS_SECRET)
        checks = check_hub(hub, images.notebook)
        record = record_release(hub, images.notebook, release, checks)
        show_checks(hub.name, checks)
        require_passed(checks)
    except HubError as error:
        get_run_logger().error("%s", error)
        restore_release(hub)
        raise
    show_link(hub.name, hub.url)
    return DeployResult(plan=plan, record=record)


def make_plan(hub: Hub, images: PinnedImages) -> Plan:
    """Everything that a deploy would change, shown before anything is touched."""
    plan = plan_cluster(hub) + plan_release(hub, images, PASSWORDS_SECRET)
    show_plan(hub.name, plan)
    for change in plan:
        get_run_logger().info("plan: %s", change)
    return plan
