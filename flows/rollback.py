"""Go back to a release that passed its checks: the one before the present one, or any that is on record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import BaseModel, ConfigDict, Field

from config.profiles import load_profile
from config.spec import Hub
from flows.deploy import PlanOnly, Profile
from flows.endings import planned
from flows.fences import fence_of
from flows.forms import asked
from flows.going_back import go_back, plan_way_back, tell_releases, way_back
from flows.plans import tell_plan
from tasks.core.artifacts import show_link, show_releases
from tasks.core.change import Plan
from tasks.core.errors import Permanent
from tasks.core.problems import require_ready
from tasks.core.record import ReleaseRecord, healthy_releases, record_of, release_before
from tasks.database.phase import check_database
from tasks.release.back import look_at_health, read_records

To = Annotated[
    int | None,
    Field(ge=1),
    asked("To", "Revision of a healthy release (see the table of releases); without it, the newest before this one."),
]


class RollbackResult(BaseModel):
    """What a run ends with: the plan, what stays though nothing uses it any more, and the record of what runs now."""

    model_config = ConfigDict(frozen=True)

    to: int
    plan: Plan
    left_behind: tuple[str, ...]
    record: ReleaseRecord | None = None


@flow(name="rollback", description="Goes back to a release of the hub that passed its checks, and checks it again.")
def rollback(profile: Profile, to: To = None, plan_only: PlanOnly = False) -> RollbackResult:
    """A healthy release serves again: release, Keycloak, cluster and the hub's database as it had them. Volumes stay.

    When its checks fail, the run ends Failed and leaves it at that: somebody has to look.
    """
    hub = load_profile(profile)
    require_ready(hub.name, check_database(hub), "going back")
    records = read_records(hub)
    show_releases(hub.name, healthy_releases(records))
    target = choose(hub, records, to)
    result = plan_rollback(hub, records, target)
    if plan_only:
        return planned(result.plan, result)
    with fence_of(hub) as fence:
        if fence.waited:
            records = read_records(hub)
            target = choose(hub, records, target.revision)
            result = plan_rollback(hub, records, target)
        record = go_back(way_back(hub, records[0], target), fence)
    tell_releases(hub)
    show_link(hub.name, hub.url)
    return result.model_copy(update={"record": record})


def choose(hub: Hub, records: Sequence[ReleaseRecord], to: int | None) -> ReleaseRecord:
    """The release to go back to. Raises Permanent, with those that there are, when that is none of them."""
    target = record_of(records, to) if to else release_before(records, look_at_health(hub).revision)
    if target and target.healthy:
        return target
    choices = ", ".join(str(one.revision) for one in healthy_releases(records))
    asked_for = f"go back to revision {to}" if to else "go back to the healthy release before the present one"
    found = "its checks did not pass" if target else "there is no record of it" if to else "there is none"
    remedy = f"healthy are the revisions {choices}" if choices else "deploy the hub: no release has passed its checks"
    raise Permanent("records", asked_for, found, remedy)


def plan_rollback(hub: Hub, records: Sequence[ReleaseRecord], target: ReleaseRecord) -> RollbackResult:
    """What going back changes, told before anything is touched."""
    way = way_back(hub, records[0], target)
    plan = plan_way_back(way)
    tell_plan(hub, plan)
    for left in way.left_behind:
        get_run_logger().warning("will be left behind, and nothing refers to it any more: %s", left)
    return RollbackResult(to=target.revision, plan=plan, left_behind=way.left_behind)
