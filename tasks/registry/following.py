"""The tag that a hub follows: what it stands for in Harbor now, and whether the hub is to be deployed by that."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from config.images import PinnedImage
from config.spec import Hub
from tasks.core.errors import Transient
from tasks.core.record import ReleaseRecord
from tasks.registry.client import Harbor
from tasks.registry.gate import judge
from tasks.registry.state import BROKEN, DONE, Vulnerability, harbor_of, place_of

SHOWN = 3


@dataclass(frozen=True)
class Followed:
    """The image that the followed tag stands for, and since when."""

    digest: str
    pushed_at: datetime
    """When the tag came to it. Harbor moves that time with the tag alone: from A to B and back to A are three times,
    and A pushed again where the tag stands for it already is none."""
    scan: str = ""
    """How its last scan stands; "" when it was never scanned."""
    found: tuple[Vulnerability, ...] = ()
    """What that scan found, for a hub that is deployed by the end of scans."""


def why_not_followed(hub: Hub) -> str:
    """Why Harbor never has this hub deployed, whatever is pushed; "" when it may."""
    if hub.registry.harbor is None or hub.registry.harbor.webhook is None:
        return "its profile has no registry.harbor.webhook"
    if not hub.image.tag:
        return "its profile names its image by digest, which nothing ever moves"
    return ""


def read_followed(hub: Hub, harbor: Harbor) -> Followed | None:
    """What the hub's tag stands for; None when that, the repository or the project is not there. Reads only."""
    seen = harbor.read_artifact(hub.image.tag)
    if seen is None:
        return None
    pushed_at = seen.tags.get(hub.image.tag)
    if pushed_at is None:
        asked, answered = f"read {hub.image.reference}", "the tag left the image while Harbor was asked for it"
        raise Transient("Harbor", asked, answered, "ask again: somebody has just moved it")
    wanted = _deployed_on(hub) == "scan" and seen.scan == DONE
    found = harbor.read_vulnerabilities(seen.digest) if wanted else ()
    return Followed(seen.digest, pushed_at, seen.scan, found)


def redeploy_key(hub: Hub, followed: Followed) -> str:
    """The same for whoever asks for this deploy, and however often: by it, Prefect makes one run of one push."""
    parts = (hub.name, followed.digest, followed.pushed_at.astimezone(UTC).isoformat())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def why_not(hub: Hub, followed: Followed, today: date) -> str:
    """Why the hub is not to be deployed by this image (yet); "" when it is. ``today`` is a day in UTC."""
    if _deployed_on(hub) == "push":
        return ""
    if followed.scan in BROKEN:
        return f"its last scan ended with {followed.scan}: have Harbor scan it again"
    if followed.scan != DONE:
        return f"its scan is not over: {followed.scan or 'none was begun'}"
    stopping = judge(followed.found, harbor_of(hub).gate, today).stopping
    if not stopping:
        return ""
    worst = ", ".join(f"{row.id} in {row.package}" for row in stopping[:SHOWN])
    more = f" and {len(stopping) - SHOWN} more" if len(stopping) > SHOWN else ""
    return f"registry.harbor.gate stops it: {worst}{more}"


def why_left(followed: Followed, records: Sequence[ReleaseRecord]) -> str:
    """Why a look at the tag, that no push is the cause of, leaves the hub with what it runs; "" when it does not.

    A push that nobody told of is made good. What a person decided after it stays: a release that was gone back to,
    an image that was deployed by hand, a hub that was taken down. When the hub merely went on with the image that it
    had before the push, as after a nightly look that put something right, that was no decision.
    """
    if not records:
        return "the hub has no release on record: deploy it once"
    newest = max(records, key=lambda record: record.recorded_at)
    if _digest(newest) == followed.digest:
        return "the hub runs it"
    if newest.recorded_at <= followed.pushed_at:
        return ""
    if newest.origin is None and _digest(newest) == _digest_before(followed, records):
        return ""
    how = f"goes back to {newest.origin}" if newest.origin else f"runs {_digest(newest)}"
    when = f"{newest.recorded_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"somebody chose otherwise since it was pushed: revision {newest.revision}, of {when}, {how}"


def _deployed_on(hub: Hub) -> str:
    webhook = harbor_of(hub).webhook
    return webhook.deploy_on if webhook else "push"


def _digest(record: ReleaseRecord) -> str:
    return PinnedImage.parse(record.image).digest


def _digest_before(followed: Followed, records: Sequence[ReleaseRecord]) -> str | None:
    """What the hub ran when the tag came to its image, as far as that is on record."""
    older = [record for record in records if record.recorded_at <= followed.pushed_at]
    return _digest(max(older, key=lambda record: record.recorded_at)) if older else None


def follows(hub: Hub, repository: str, tag: str) -> bool:
    """Whether a tag of a repository, as Harbor names them, is the one that the hub follows."""
    return not why_not_followed(hub) and (place_of(hub).path, hub.image.tag) == (repository, tag)
