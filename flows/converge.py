"""Never stay broken: a schedule looks whether a hub is as it should be, and has that put right if it may."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import BaseModel, ConfigDict

from config.profiles import load_profile
from config.spec import Hub
from flows.deploy import Profile, deploy
from flows.drift import look_for_drift, proved_image
from flows.endings import DRIFT, ended_as
from flows.fences import SEEN_DEAD_SECONDS, fence_of, holder_of
from flows.forms import asked
from flows.going_back import go_back, way_back
from flows.schedule import newest_turn_only
from tasks.core.change import Plan
from tasks.core.errors import Permanent
from tasks.core.fence import Fence, FenceHeld
from tasks.core.record import ReleaseRecord, healthy_releases, newest_healthy
from tasks.release.back import look_at_health, read_records
from tasks.release.health import Health, SeenHealth

Repair = Annotated[bool, asked("Repair", "Put right what is found; without it, nothing is changed.")]


class Outcome(StrEnum):
    """What a run found, and what it did about it."""

    NOTHING = "nothing to do"
    IN_PROGRESS = "another run is at work"
    DRIFT = "it is otherwise than it should be"
    PROVED = "what nobody had checked was deployed and checked"
    RESTORED = "the newest healthy release serves again"
    DEPLOYED = "what differed was put right by a deploy"


class ConvergeResult(BaseModel):
    """What a run ends with."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    reason: str
    revision: int = 0
    plan: Plan = Plan()
    """What differs; looked for at a healthy release only."""


@flow(name="converge", description="Looks whether a hub is as it should be; told to repair, puts it right.")
@newest_turn_only
def converge(profile: Profile, repair: Repair = False) -> ConvergeResult:
    """It is known whether the hub is as it should be: its run ends as Drift when not, or, told to repair, put it right.

    Without repair nothing is written, not even the fence. With it, one thing is put right a turn: a release that is
    not healthy goes back, or is deployed to its end; at a healthy one, what differs is (``look_for_drift``).
    Every wait is bounded: a run that died is known to be dead after its Lease's 40 seconds. With this on a schedule,
    a hub is healthy again within the schedule's period, that time, and the minute that going back takes.
    """
    hub = load_profile(profile)
    result = put_right(hub, profile) if repair else look(hub)
    get_run_logger().info("%s: %s", result.outcome, result.reason)
    return ended_as(DRIFT, result.reason, result) if result.outcome is Outcome.DRIFT else result


def look(hub: Hub) -> ConvergeResult:
    """What is wrong with the hub, if anything is, and nobody is at work on it. Reads only."""
    holder = holder_of(hub)
    if holder.name and not holder.dead:
        return ConvergeResult(outcome=Outcome.IN_PROGRESS, reason=f"{holder.name} has its fence")
    seen = look_at_health(hub)
    if seen.health is Health.ABSENT:
        return _absent(hub, seen)
    drift = look_for_drift(hub, seen.record) if seen.health is Health.HEALTHY and seen.record else None
    wrong = bool(holder.dead or drift is None or not drift.plan.empty)
    if wrong and not holder.dead and (holder := holder_of(hub)).name and not holder.dead:
        return ConvergeResult(outcome=Outcome.IN_PROGRESS, reason=f"{holder.name} has its fence")
    told = (f"{holder.name} died at work on this hub" if holder.dead else "", seen.reason, str(drift or ""))
    return ConvergeResult(
        outcome=Outcome.DRIFT if wrong else Outcome.NOTHING,
        reason="; ".join(filter(None, told)),
        revision=seen.revision,
        plan=drift.plan if drift else Plan(),
    )


def put_right(hub: Hub, profile: str) -> ConvergeResult:
    """The hub's release is one that passed its checks, and as it should be; or another run is at work on it."""
    try:
        with fence_of(hub, seconds=SEEN_DEAD_SECONDS) as fence:
            seen = look_at_health(hub)
            settled = _settle(hub, seen, fence)
    except FenceHeld as error:
        return ConvergeResult(outcome=Outcome.IN_PROGRESS, reason=error.answered)
    return settled or _deploy_what_is_left(hub, profile, seen)


def _absent(hub: Hub, seen: SeenHealth) -> ConvergeResult:
    """A hub that nobody deployed, or that was taken down, is left alone; one that is gone otherwise is told of."""
    proved = newest_healthy(read_records(hub))
    if proved is None:
        return ConvergeResult(outcome=Outcome.NOTHING, reason=seen.reason)
    reason = f"{seen.reason}, though revision {proved.revision} had passed its checks: deploy the hub, or take it down"
    return ConvergeResult(outcome=Outcome.DRIFT, reason=reason)


def _settle(hub: Hub, seen: SeenHealth, fence: Fence) -> ConvergeResult | None:
    """What this run's own fence is for is put right; None where what may be left is for a deploy, which takes it too.

    A healthy release is left alone, unless a run died while it changed what is around it.
    """
    if fence.dead:
        get_run_logger().warning("%s died at work on this hub", fence.dead)
    if seen.health is Health.ABSENT:
        return _absent(hub, seen)
    if _is_unproved(seen):
        return None
    if seen.health is Health.HEALTHY and seen.record and not fence.dead:
        return _settle_healthy(hub, seen, seen.record, fence)
    return _go_back(hub, seen, ConvergeResult(outcome=Outcome.RESTORED, reason=seen.reason), fence)


def _settle_healthy(hub: Hub, seen: SeenHealth, record: ReleaseRecord, fence: Fence) -> ConvergeResult | None:
    """A hub that went back is brought to the same again where it differs: a deploy would bring what it left."""
    if not record.origin:
        return None
    drift = look_for_drift(hub, record)
    reason = f"{seen.reason}; {drift}"
    if drift.plan.empty:
        return ConvergeResult(outcome=Outcome.NOTHING, reason=reason, revision=seen.revision)
    return _go_back(hub, seen, ConvergeResult(outcome=Outcome.RESTORED, reason=reason, plan=drift.plan), fence)


def _go_back(hub: Hub, seen: SeenHealth, result: ConvergeResult, fence: Fence) -> ConvergeResult:
    record = go_back(way_back(hub, seen.record, _target(hub, seen)), fence)
    return result.model_copy(update={"revision": record.revision})


def _deploy_what_is_left(hub: Hub, profile: str, seen: SeenHealth) -> ConvergeResult:
    """What nobody proved is deployed to its end; at a healthy release, what differs from the profile is."""
    image = proved_image(hub, seen.record) if seen.record else None
    if _is_unproved(seen):
        # The run that made it was ended before it could say whether it is good: what it began is finished.
        record = deploy(profile, image=image).record
        return _deployed(Outcome.PROVED, seen.reason, record)
    assert seen.record, "a healthy release has one"
    drift = look_for_drift(hub, seen.record)
    reason = f"{seen.reason}; {drift}"
    if drift.plan.empty:
        return ConvergeResult(outcome=Outcome.NOTHING, reason=reason, revision=seen.revision)
    return _deployed(Outcome.DEPLOYED, reason, deploy(profile, image=image).record, drift.plan)


def _deployed(outcome: Outcome, reason: str, record: ReleaseRecord | None, plan: Plan | None = None) -> ConvergeResult:
    revision = record.revision if record else 0
    return ConvergeResult(outcome=outcome, reason=reason, revision=revision, plan=plan or Plan())


def _is_unproved(seen: SeenHealth) -> bool:
    """Whether a deploy made the release, and nobody checked it; a going back is another thing."""
    return seen.health is Health.UNPROVED and not (seen.record and seen.record.origin)


def _target(hub: Hub, seen: SeenHealth) -> ReleaseRecord:
    """Where a going back was on its way to, if the newest revision is of one that was not finished; else the newest."""
    if seen.target is None:
        remedy = "deploy the hub: it is not known how it should be"
        raise Permanent("records", "go back to a healthy release", f"there is none, and {seen.reason}", remedy)
    if seen.health is not Health.UNPROVED or seen.record is None:
        return seen.target
    aim = seen.record.stands_for
    return next((one for one in healthy_releases(read_records(hub)) if one.stands_for == aim), seen.target)
