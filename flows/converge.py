"""Never stay broken: what a run left behind that was killed, crashed or cancelled is put right, by a schedule."""

from __future__ import annotations

from enum import StrEnum

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import BaseModel, ConfigDict

from config.images import PinnedImage
from config.profiles import load_profile
from config.spec import Hub
from flows.deploy import Profile, deploy
from flows.fences import fence_of
from flows.going_back import go_back, way_back
from tasks.core.errors import Permanent
from tasks.core.fence import LEASE_SECONDS, Fence, FenceHeld
from tasks.core.record import ReleaseRecord, healthy_releases
from tasks.release.back import look_at_health, read_records
from tasks.release.health import Health, SeenHealth

SEEN_DEAD_SECONDS = LEASE_SECONDS + 10.0
"""Within this time a holder of the fence that died is known to be dead; one that lives is left to its work."""


class Outcome(StrEnum):
    """What a run found, and what it did about it."""

    NOTHING = "nothing to do"
    IN_PROGRESS = "another run is at work"
    PROVED = "what nobody had checked was deployed and checked"
    RESTORED = "the newest healthy release serves again"


class ConvergeResult(BaseModel):
    """What a run ends with."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    reason: str
    revision: int = 0


@flow(name="converge", description="Brings the newest healthy release back where a run died and left something else.")
def converge(profile: Profile) -> ConvergeResult:
    """The hub's release is one that passed its checks, or another run is at work on it.

    Every wait is bounded: a run that died is known to be dead after its Lease's 40 seconds. With this on a schedule,
    a hub is healthy again within the schedule's period, that time, and the minute that going back takes.
    """
    hub = load_profile(profile)
    try:
        with fence_of(hub, seconds=SEEN_DEAD_SECONDS) as fence:
            seen = look_at_health(hub)
            get_run_logger().info("%s", seen.reason)
            if not _is_unproved(seen):
                return _settle(hub, seen, fence)
    except FenceHeld as error:
        get_run_logger().info("%s", error.answered)
        return ConvergeResult(outcome=Outcome.IN_PROGRESS, reason=error.answered)
    # The run that made it was ended before it could say whether it is good: what it began is finished.
    image = PinnedImage.parse(seen.record.image).digest if seen.record else None
    record = deploy(profile, image=image).record
    return ConvergeResult(outcome=Outcome.PROVED, reason=seen.reason, revision=record.revision if record else 0)


def _is_unproved(seen: SeenHealth) -> bool:
    """Whether a deploy made the release, and nobody checked it; a going back is another thing."""
    return seen.health is Health.UNPROVED and not (seen.record and seen.record.origin)


def _settle(hub: Hub, seen: SeenHealth, fence: Fence) -> ConvergeResult:
    """A healthy release is left alone, unless a run died while it changed what is around it."""
    if fence.dead:
        get_run_logger().warning("%s died at work on this hub", fence.dead)
    if seen.health is Health.ABSENT or (seen.health is Health.HEALTHY and not fence.dead):
        return ConvergeResult(outcome=Outcome.NOTHING, reason=seen.reason, revision=seen.revision)
    target = _target(hub, seen)
    record = go_back(way_back(hub, seen.record, target), fence)
    return ConvergeResult(outcome=Outcome.RESTORED, reason=seen.reason, revision=record.revision)


def _target(hub: Hub, seen: SeenHealth) -> ReleaseRecord:
    """Where a going back was on its way to, if the newest revision is of one that was not finished; else the newest."""
    if seen.target is None:
        remedy = "deploy the hub: it is not known how it should be"
        raise Permanent("records", "go back to a healthy release", f"there is none, and {seen.reason}", remedy)
    if seen.health is not Health.UNPROVED or seen.record is None:
        return seen.target
    aim = seen.record.stands_for
    return next((one for one in healthy_releases(read_records(hub)) if one.stands_for == aim), seen.target)
