"""Make good what Harbor could not tell: a tag was pushed while the receiver, Prefect or the way there was down."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import BaseModel, ConfigDict

from config.profiles import load_profile
from config.spec import Hub
from flows.deploy import Profile
from flows.redeploy import Started, start_redeploy
from flows.schedule import newest_turn_only
from tasks.registry.following import Followed, why_left, why_not, why_not_followed
from tasks.registry.tag import read_tag
from tasks.release.back import read_records


class FollowResult(BaseModel):
    """What a look at the tag found, and the run that deploys it, if there is to be one."""

    model_config = ConfigDict(frozen=True)

    reason: str
    digest: str | None = None
    run: str | None = None
    """The run that deploys it."""
    made: bool = False
    """Whether this look made that run."""


@flow(
    name="follow-tags", description="Deploys the image that the hub's tag stands for, if Harbor could not tell of it."
)
@newest_turn_only
def follow_tags(profile: Profile) -> FollowResult:
    """The image that the hub's tag stands for is deployed or being so, unless somebody decided otherwise since.

    It starts the run that the receiver would have started, by the same key: together they make one. A run of that push
    that was there, however it ended, is not made again; and what was deployed or gone back to after the push stays.
    So this never undoes what a person did, and tries nothing twice.
    """
    hub = load_profile(profile)
    result = _follow(hub, profile)
    get_run_logger().info("%s: %s", hub.image.reference, result.reason)
    return result


def _follow(hub: Hub, profile: str) -> FollowResult:
    if reason := why_not_followed(hub):
        return FollowResult(reason=reason)
    followed = read_tag(hub)
    if followed is None:
        return FollowResult(reason="Harbor does not have this tag")
    if reason := why_not(hub, followed, datetime.now(UTC).date()) or why_left(followed, read_records(hub)):
        return FollowResult(reason=reason, digest=followed.digest)
    return _told(followed, start_redeploy(hub, profile, followed))


def _told(followed: Followed, started: Started) -> FollowResult:
    where = started.url or started.run
    reason = f"it is being deployed: {where}" if started.made else f"it was deployed, or tried, already: {where}"
    return FollowResult(reason=reason, digest=followed.digest, run=started.run, made=started.made)
