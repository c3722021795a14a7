"""Deploy a hub: each phase in its order, checks, record; and back to the last healthy release when that fails."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import BaseModel, ConfigDict

from config.images import PinnedImages
from config.profiles import load_profile, profile_names
from config.spec import Hub
from config.types import Sha256
from flows.approval import ask_for_approval, require_approved
from flows.endings import planned
from flows.fences import fence_of
from flows.forms import asked
from flows.going_back import METRICS_TOKEN, bring_back, tell_releases
from flows.plans import tell_plan
from flows.registry import look_at_harbor, set_up_harbor
from flows.sign_in import SeenSignIn, look_at_sign_in, set_up_sign_in
from tasks.cluster.back import keep_secrets
from tasks.cluster.phase import check_cluster, ensure_cluster, ensure_namespace, plan_cluster
from tasks.core.artifacts import show_checks, show_link, show_problems
from tasks.core.change import Plan
from tasks.core.errors import HubError
from tasks.core.fence import Fence, FenceLost
from tasks.core.problems import Gathering, require_ready
from tasks.core.record import CheckResult, ReleaseRecord
from tasks.database.phase import back_up_database, check_database, plan_backup, read_schema
from tasks.monitoring.phase import check_monitoring, ensure_monitoring, plan_monitoring
from tasks.registry.images import plan_protection, protect_image
from tasks.registry.phase import pin_images
from tasks.release.announce import announce_restart
from tasks.release.phase import (
    check_release,
    ensure_release,
    fetch_chart,
    plan_release,
    record_release,
    want_values,
)
from tasks.release.plan import WantedRelease
from tasks.release.restarts import PROXY
from tasks.release.state import DeployedRelease, ReleasePlan
from tasks.validation.phase import check_hub, require_passed

Profile = Annotated[str, asked("Profile", "The hub, by its profile.", enum=[*profile_names()])]
Digest = Annotated[
    Sha256 | None, asked("Image", "Digest of the notebook image; without it, that of the profile's tag.")
]
PlanOnly = Annotated[bool, asked("Plan only", "Show what would change, and change nothing.")]


class DeployResult(BaseModel):
    """What a run ends with: the plan, and, unless only that was asked for, the record of what runs now."""

    model_config = ConfigDict(frozen=True)

    plan: Plan
    record: ReleaseRecord | None = None

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """How the checks of this run ended."""
        return self.record.checks if self.record else ()


@dataclass(frozen=True)
class Wanted:
    """What a run is to bring about: these images, in this release, with people signing in so."""

    images: PinnedImages
    release: WantedRelease
    provider: SeenSignIn
    harbor: Plan
    """What is still to be set up in Harbor."""


@flow(name="deploy", description="Deploys a hub, checks it as a user would, and records it.")
def deploy(profile: Profile, plan_only: PlanOnly = False, image: Digest = None) -> DeployResult:
    """The hub is as its profile says, its checks passed, and that is on record.

    When a step fails, the newest healthy release serves again and the run ends Failed. Where the profile wants it,
    somebody approves the plan first, and exactly that is carried out.
    """
    hub = load_profile(profile)
    with TemporaryDirectory(prefix="hubwright-") as folder:
        wanted = prepare(hub, Path(folder), image)
        plan, release = make_plan(hub, wanted)
        if plan_only:
            return planned(plan, DeployResult(plan=plan))
        approved = ask_for_approval(hub, plan)
        made = Plan() if plan.empty else ensure_namespace(hub)
        with fence_of(hub) as fence:
            if fence.waited or approved:
                # What was approved is this image, also when its tag moved meanwhile.
                wanted, before = prepare(hub, Path(folder), wanted.images.notebook.digest if approved else image), plan
                plan, release = make_plan(hub, wanted)
                require_approved(hub, before, made, plan)
            record = carry_out(hub, wanted, plan, release, fence)
    tell_releases(hub)
    show_link(hub.name, hub.url)
    return DeployResult(plan=plan, record=record)


def prepare(hub: Hub, folder: Path, image: str | None) -> Wanted:
    """What is to run is known, and the cluster has what that needs; else NotReady with everything that is missing."""
    looks = Gathering()
    pinned, fetched = pin_images.submit(hub, image), fetch_chart.submit(hub, folder)
    cluster, monitoring, database = (check.submit(hub) for check in (check_cluster, check_monitoring, check_database))
    provider = look_at_sign_in(hub, looks)
    harbor = look_at_harbor(hub, looks)
    images = looks.attempt(pinned.result)
    worked_out = want_values.submit(hub, images, provider.sign_in) if images and provider else None
    chart = looks.attempt(fetched.result)
    values = None
    if looks.add(looks.attempt(cluster.result)):  # one that does not answer is told once
        looks.add(looks.attempt(check_release, hub, chart))
        looks.add(looks.attempt(monitoring.result))
        looks.add(looks.attempt(database.result))
        values = looks.attempt(worked_out.result) if worked_out else None
    for problem in looks.problems:
        get_run_logger().warning("%s", problem)
    show_problems(hub.name, looks.problems)
    require_ready(hub.name, looks.problems)
    assert images
    assert chart
    assert values
    assert provider
    return Wanted(images, WantedRelease(hub.release.name, chart, values), provider, harbor)


def make_plan(hub: Hub, wanted: Wanted) -> tuple[Plan, ReleasePlan]:
    """Everything that a deploy would change, shown before anything is touched; and what that is for the release."""
    cluster, releases = plan_cluster.submit(hub), plan_release.submit(hub, wanted.release)
    monitoring = plan_monitoring.submit(hub, METRICS_TOKEN)
    kept = plan_protection(hub, wanted.images.notebook.digest) if hub.registry.harbor else Plan()
    release = releases.result()
    backup = plan_backup(hub, release.replaces)
    plan = cluster.result() + wanted.harbor + kept + wanted.provider.plan + backup + release.changes
    plan += monitoring.result()
    tell_plan(hub, plan)
    return plan, release


def carry_out(hub: Hub, wanted: Wanted, plan: Plan, release: ReleasePlan, fence: Fence) -> ReleaseRecord:
    """Each phase in its order, and back to the newest healthy release when one fails.

    When the plan is empty, everything is as it should be already, and only the checks are left.
    """
    untouched = release.running if plan.empty else None
    try:
        deployed = untouched or change(hub, wanted, release, fence)
        record = prove(hub, wanted, deployed, fence)
    except FenceLost:
        raise  # whoever has the fence now decides what serves
    except HubError as error:
        get_run_logger().error("%s", error)
        bring_back(hub, untouched, fence)
        raise
    return record


def change(hub: Hub, wanted: Wanted, planned: ReleasePlan, fence: Fence) -> DeployedRelease:
    """Cluster, provider and release are as the plan says; that nobody has proved the release yet is on record."""
    ensure_cluster(hub, fence)
    set_up_harbor(hub, fence)
    if hub.registry.harbor:
        protect_image(hub, wanted.images.notebook.digest, fence)
    sign_in = set_up_sign_in(hub, wanted.provider.sign_in, fence)
    release = wanted.release
    if sign_in != wanted.provider.sign_in:  # the client's secret is another one, or there was none before
        release = replace(release, values=want_values(hub, wanted.images, sign_in))
    back_up_database(hub, planned.replaces, fence)
    if PROXY in planned.restarts:
        announce_restart(hub, fence)
    deployed = ensure_release(hub, release, fence)
    record_release(hub, wanted.images.notebook, deployed, fence)
    ensure_monitoring(hub, METRICS_TOKEN, fence)
    return deployed


def prove(hub: Hub, wanted: Wanted, deployed: DeployedRelease, fence: Fence) -> ReleaseRecord:
    """The release passed its checks, and is one to go back to; else that is on record, and Permanent is raised."""
    image = wanted.images.notebook
    checks = check_hub(hub, image)
    record = record_release(hub, image, deployed, fence, checks, None, read_schema(hub))
    show_checks(hub.name, checks)
    require_passed(checks)
    keep_secrets(hub, fence)
    return record
