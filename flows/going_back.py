"""Going back to a release that passed its checks: each phase as that release had it, and the checks again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from prefect.logging import get_run_logger
from pydantic import ValidationError

from config.images import PinnedImage
from config.spec import Hub
from flows.sign_in import bring_sign_in_back, plan_sign_in_back
from tasks.cluster import back as cluster
from tasks.core.artifacts import show_checks, show_left_behind, show_releases
from tasks.core.change import Plan
from tasks.core.errors import HubError
from tasks.core.fence import Fence, FenceLost
from tasks.core.names import CHART_SECRET, METRICS_SERVICE, token_key
from tasks.core.record import ReleaseRecord, healthy_releases, newest_healthy, record_of
from tasks.database.phase import plan_database_back, read_schema, restore_database
from tasks.keycloak import plan as keycloak
from tasks.monitoring import plan as monitoring
from tasks.monitoring.phase import ensure_monitoring, plan_monitoring
from tasks.monitoring.plan import TokenRef
from tasks.release.back import plan_release_back, read_records, restore_release
from tasks.release.phase import record_release
from tasks.release.state import DeployedRelease
from tasks.validation.phase import check_hub, require_passed

METRICS_TOKEN = TokenRef(CHART_SECRET, token_key(METRICS_SERVICE))


@dataclass(frozen=True)
class WayBack:
    """From the hub as it is now to the one that a record tells of."""

    present: Hub
    """As the newest record has it, or else the profile."""
    target: ReleaseRecord
    hub: Hub
    """As the target has it."""

    @property
    def left_behind(self) -> tuple[str, ...]:
        """What stays though nothing refers to it any more: for somebody to look at, and never deleted."""
        return (
            *cluster.left_behind(self.present, self.hub),
            *keycloak.left_behind(self.present, self.hub),
            *monitoring.left_behind(self.present, self.hub, METRICS_TOKEN),
        )


def way_back(profile: Hub, newest: ReleaseRecord | None, target: ReleaseRecord) -> WayBack:
    """The way from the newest record, or from the profile where there is none, to the target."""
    return WayBack(hub_of(newest, profile) if newest else profile, target, hub_of(target, profile))


def hub_of(record: ReleaseRecord, otherwise: Hub) -> Hub:
    """The hub as a record has it; another one, with a warning, where the record has none that is valid today."""
    try:
        return Hub.model_validate(record.profile)
    except ValidationError as error:
        text = "the profile of revision %s is not on record, or not valid any more (%s): the present one counts"
        get_run_logger().warning(text, record.revision, error.errors()[0]["msg"])
        return otherwise


def plan_way_back(way: WayBack) -> Plan:
    """Everything that going back changes. Reads only."""
    cluster_plan, release = cluster.plan_cluster_back.submit(way.hub), plan_release_back.submit(way.hub, way.target)
    metrics = plan_monitoring.submit(way.hub, METRICS_TOKEN)
    sign_in = plan_sign_in_back(way.present, way.hub)
    changes = release.result()
    database = plan_database_back(way.hub, way.target, changes.replaces)
    return cluster_plan.result() + sign_in + database + changes.changes + metrics.result()


def tell_releases(hub: Hub) -> None:
    """Everybody who looks sees which releases one can go back to."""
    show_releases(hub.name, healthy_releases(read_records(hub)))


def bring_back(profile: Hub, untouched: DeployedRelease | None, fence: Fence) -> None:
    """The newest healthy release serves again, if there is one; for a run that has an error of its own to tell.

    ``untouched`` is what runs, when the run changed nothing: then there is no need where that is the one.
    """
    records = read_records(profile)
    target = newest_healthy(records)
    if target is None:
        get_run_logger().error("nothing to go back to: no release of this hub has passed its checks yet")
        return
    now = record_of(records, untouched.revision) if untouched else None
    if now and now.stands_for == target.stands_for:
        get_run_logger().error("nothing was changed, and revision %s is the newest healthy one", now.revision)
        return
    try:
        go_back(WayBack(profile, target, hub_of(target, profile)), fence)
    except FenceLost:
        raise
    except HubError as error:
        get_run_logger().error("revision %s could not be brought back as it was: %s", target.revision, error)


def go_back(way: WayBack, fence: Fence) -> ReleaseRecord:
    """The target's release serves, and its checks passed again; that is on record.

    What cannot be turned round in the cluster or at the provider keeps nothing else from going back, and is raised at
    the end. Checks that fail are raised too, with the target's release left as it is.
    """
    hub, target = way.hub, way.target
    errors = _attempt(partial(cluster.restore_cluster, hub, fence)) + _attempt(
        partial(bring_sign_in_back, way.present, hub, fence)
    )
    restore_database(hub, target, plan_release_back(hub, target).replaces, fence)
    record = _restore(way, fence)
    for left in way.left_behind:
        get_run_logger().warning("left behind, and nothing refers to it any more: %s", left)
    show_left_behind(hub.name, way.left_behind)
    for error in errors:
        raise error
    require_passed(record.checks)
    get_run_logger().info("revision %s serves, which runs what %s ran", record.revision, target.stands_for)
    return record


def _restore(way: WayBack, fence: Fence) -> ReleaseRecord:
    hub, image = way.hub, PinnedImage.parse(way.target.image)
    release = restore_release(hub, way.target, fence)
    origin = None if release.revision == way.target.stands_for else way.target.stands_for
    record_release(hub, image, release, fence, origin=origin)
    ensure_monitoring(hub, METRICS_TOKEN, fence)
    checks = check_hub(hub, image)
    show_checks(hub.name, checks)
    return record_release(hub, image, release, fence, checks, origin, read_schema(hub))


def _attempt(step: Callable[[], object]) -> list[HubError]:
    """What a step raised, told at once; a fence that is lost ends everything."""
    try:
        step()
    except FenceLost:
        raise
    except HubError as error:
        get_run_logger().error("%s", error)
        return [error]
    return []
