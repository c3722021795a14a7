"""Drift: how a healthy hub should be, and what is otherwise. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from config.images import PinnedImage
from config.spec import Hub
from flows.deploy import make_plan, prepare
from flows.going_back import hub_of, plan_way_back, way_back
from flows.plans import tell_plan
from tasks.core.change import Plan
from tasks.core.record import ReleaseRecord

TOLD_CHANGES = 3


@dataclass(frozen=True)
class Drift:
    """What would make a hub as it should be."""

    plan: Plan
    should_be: str

    def __str__(self) -> str:
        if self.plan.empty:
            return f"it is {self.should_be}"
        told = [str(change) for change in self.plan.changes[:TOLD_CHANGES]]
        more = len(self.plan.changes) - len(told)
        return f"it is not {self.should_be}: {'; '.join(told)}{f'; and {more} more' if more else ''}"


def look_for_drift(hub: Hub, record: ReleaseRecord) -> Drift:
    """What differs from how the hub should be, told as a plan; ``record`` is the healthy one of what runs.

    It should be as its profile says now, with the image that was deployed and proved (``proved_image``). But a hub
    that went back should be as it was then: it differs from its profile because that, or its image, was bad. This
    lasts until a deploy makes a revision of its own. Images of the profile other than the notebook's are looked up by
    their tags, as in a deploy.
    """
    if record.origin:
        plan = plan_way_back(way_back(hub, record, record))
        tell_plan(hub, plan)
        return Drift(plan, f"as revision {record.origin} was, to which it went back")
    with TemporaryDirectory(prefix="hubwright-") as folder:
        plan, _ = make_plan(hub, prepare(hub, Path(folder), proved_image(hub, record)))
    return Drift(plan, "as its profile says")


def proved_image(hub: Hub, record: ReleaseRecord) -> str | None:
    """The digest that was deployed, wherever the tag went since; None when the profile names another image by now."""
    same = hub_of(record, hub).image.reference == hub.image.reference
    return PinnedImage.parse(record.image).digest if same else None
