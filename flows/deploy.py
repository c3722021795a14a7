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
from flows.fences import fence_of
from flows.forms import asked
from flows.registry import look_at_harbor, set_up_harbor
from flows.sign_in import SeenSignIn, look_at_sign_in, set_up_sign_in
from tasks.cluster.phase import check_cluster, ensure_cluster, ensure_namespace, plan_cluster
from tasks.core.artifacts import show_checks, show_link, show_plan, show_problems
from tasks.core.change import Plan
from tasks.core.errors import HubError
from tasks.core.fence import Fence, FenceLost
from tasks.core.names import CHART_SECRET, METRICS_SERVICE, token_key
from tasks.core.problems import Gathering, require_ready
from tasks.core.records import CheckResult, ReleaseRecord
from tasks.monitoring.phase import check_monitoring, ensure_monitoring, plan_monitoring
from tasks.monitoring.plan import TokenRef
from tasks.registry.images import plan_protection, protect_image
from tasks.registry.phase import pin_images
from tasks.release.phase import (
    DeployedRelease,
    check_release,
    ensure_release,
    fetch_chart,
    plan_release,
    record_release,
    restore_release,
    want_values,
)
from tasks.release.plan import WantedRelease
from tasks.validation.phase import check_hub, require_passed

Profile = Annotated[str, asked("Profile", "The hub, by its profile.", enum=[*profile_names()])]
METRICS_TOKEN = TokenRef(CHART_SECRET, token_key(METRICS_SERVICE))
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

    When a step fails, the newest healthy release serves again and the run ends Failed.
    """
    hub = load_profile(profile)
    with TemporaryDirectory(prefix="hubwright-") as folder:
        wanted = prepare(hub, Path(folder), image)
        plan, running = make_plan(hub, wanted)
        if plan_only:
            return DeployResult(plan=plan)
        if not plan.empty:
            ensure_namespace(hub)
        with fence_of(hub) as fence:
            if fence.waited:
                wanted = prepare(hub, Path(folder), image)
                plan, running = make_plan(hub, wanted)
            record = carry_out(hub, wanted, running if plan.empty else None, fence)
    show_link(hub.name, hub.url)
    return DeployResult(plan=plan, record=record)


def prepare(hub: Hub, folder: Path, image: str | None) -> Wanted:
    """What is to run is known, and the cluster has what that needs; else NotReady with everything that is missing."""
    looks = Gathering()
    pinned, fetched = pin_images.submit(hub, image), fetch_chart.submit(hub, folder)
    cluster, monitoring = check_cluster.submit(hub), check_monitoring.submit(hub)
    provider = look_at_sign_in(hub, looks)
    harbor = look_at_harbor(hub, looks)
    images = looks.attempt(pinned.result)
    worked_out = want_values.submit(hub, images, provider.sign_in) if images and provider else None
    chart = looks.attempt(fetched.result)
    values = None
    if looks.add(looks.attempt(cluster.result)):  # one that does not answer is told once
        looks.add(looks.attempt(check_release, hub, chart))
        looks.add(looks.attempt(monitoring.result))
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


def make_plan(hub: Hub, wanted: Wanted) -> tuple[Plan, DeployedRelease | None]:
    """Everything that a deploy would change, shown before anything is touched; and the release that runs now."""
    cluster, releases = plan_cluster.submit(hub), plan_release.submit(hub, wanted.release)
    monitoring = plan_monitoring.submit(hub, METRICS_TOKEN)
    kept = plan_protection(hub, wanted.images.notebook.digest) if hub.registry.harbor else Plan()
    changes, running = releases.result()
    plan = cluster.result() + wanted.harbor + kept + wanted.provider.plan + changes + monitoring.result()
    show_plan(hub.name, plan)
    for change in plan:
        get_run_logger().info("plan: %s", change)
    return plan, running


def carry_out(hub: Hub, wanted: Wanted, running: DeployedRelease | None, fence: Fence) -> ReleaseRecord:
    """Each phase in its order, and back to the newest healthy release when one fails.

    ``running`` is the release when everything is as it should be already: then only the checks are left to do.
    """
    try:
        deployed = running or change(hub, wanted, fence)
        checks = check_hub(hub, wanted.images.notebook)
        record = record_release(hub, wanted.images.notebook, deployed, checks, fence)
        show_checks(hub.name, checks)
        require_passed(checks)
    except FenceLost:
        raise  # whoever has the fence now decides what serves
    except HubError as error:
        get_run_logger().error("%s", error)
        restore_release(hub, fence)
        raise
    return record


def change(hub: Hub, wanted: Wanted, fence: Fence) -> DeployedRelease:
    """Cluster and provider are as the plan says."""
    ensure_cluster(hub, fence)
    set_up_harbor(hub, fence)
    if hub.registry.harbor:
        protect_image(hub, wanted.images.notebook.digest, fence)
    sign_in = set_up_sign_in(hub, wanted.provider.sign_in, fence)
    release = wanted.release
    if sign_in != wanted.provider.sign_in:  # the client's secret is another one, or there was none before
        release = replace(release, values=want_values(hub, wanted.images, sign_in))
    deployed = ensure_release(hub, release, fence)
    ensure_monitoring(hub, METRICS_TOKEN, fence)
    return deployed
