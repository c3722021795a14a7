"""Pictures of a run for the Prefect UI. What counts is kept in the cluster; these may be lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from tasks.core.change import Plan
from tasks.core.problems import Problem
from tasks.core.record import CheckResult, ReleaseRecord

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def show_plan(hub: str, plan: Plan) -> None:
    """The plan is a table in the UI, under one key for each hub, so that its history shows."""
    rows = [{"action": c.action.value, "what": c.what, "before": c.before, "after": c.after} for c in plan]
    nothing = [{"action": "none", "what": "everything is as it should be", "before": "", "after": ""}]
    create_table_artifact(rows or nothing, key=f"plan-{hub}", description=f"What changes at {hub}.")


def show_problems(hub: str, problems: Sequence[Problem]) -> None:
    """What stands in the way is a table in the UI; nothing is shown when there is nothing."""
    rows = [{"what": p.what, "found": p.found, "what to do": p.remedy, "stops a deploy": p.fatal} for p in problems]
    if rows:
        create_table_artifact(rows, key=f"problems-{hub}", description=f"What {hub} needs and does not have.")


def show_checks(hub: str, checks: Sequence[CheckResult]) -> None:
    """The check report is a table in the UI."""
    rows = [{"check": c.name, "passed": c.passed, "seconds": c.seconds, "detail": c.detail} for c in checks]
    create_table_artifact(rows, key=f"checks-{hub}", description=f"How the checks of {hub} ended.")


def show_releases(hub: str, records: Sequence[ReleaseRecord]) -> None:
    """The releases that one can go back to are a table in the UI, newest first."""
    rows = [
        {
            "revision": one.revision,
            "runs what this one ran": one.stands_for,
            "checked": f"{one.recorded_at:%Y-%m-%d %H:%M} UTC",
            "chart": one.chart,
            "image": one.image,
        }
        for one in records
    ]
    nothing = [{"revision": "none", "checked": "no release has passed its checks yet"}]
    create_table_artifact(rows or nothing, key=f"releases-{hub}", description=f"Healthy releases of {hub}.")


def show_left_behind(hub: str, titles: Sequence[str]) -> None:
    """What nothing refers to any more is a table in the UI; nothing is shown when there is nothing."""
    rows = [
        {"what": title, "why it stays": "going back deletes nothing: look whether anybody else uses it"}
        for title in titles
    ]
    if rows:
        create_table_artifact(rows, key=f"left-behind-{hub}", description=f"What {hub} does not use any more.")


def show_image(hub: str, image: Mapping[str, Any]) -> None:
    """The image that a rebuild ended with is a table in the UI."""
    rows = [{"what": key, "is": str(value)} for key, value in image.items()]
    create_table_artifact(rows, key=f"image-{hub}", description=f"The notebook image of {hub}.")


def show_findings(hub: str, findings: Sequence[DataclassInstance]) -> None:
    """What a scanner found in the image is a table in the UI, each with what is decided of it, and why."""
    rows = [asdict(finding) for finding in findings] or [{"id": "none", "why": "no vulnerability was found"}]
    create_table_artifact(rows, key=f"findings-{hub}", description=f"Vulnerabilities of the image of {hub}.")


def show_upgrades(hub: str, plan: Plan) -> None:
    """What newer packages would change is a table in the UI."""
    rows = [{"package": c.what, "now": c.before, "newer": c.after} for c in plan]
    nothing = [{"package": "none", "now": "", "newer": "the locks are those of today"}]
    create_table_artifact(rows or nothing, key=f"upgrades-{hub}", description=f"Newer packages for the image of {hub}.")


def show_link(hub: str, url: str) -> None:
    """The hub's address is a link in the UI."""
    create_link_artifact(url, link_text=f"Open {hub}", key=f"link-{hub}", description=f"The hub {hub}.")


def show_picture(hub: str, url: str) -> None:
    """What a user sees of the hub is a picture in the UI; ``url`` is a data: URL."""
    # An image artifact shows its address below the picture as well: tens of thousands of characters of it.
    create_markdown_artifact(
        f"![JupyterLab of {hub}]({url})",
        key=f"picture-{hub}",
        description=f"The JupyterLab of {hub}, as the checking user saw it.",
    )


class Progress:
    """How far a long task is: a bar in the UI under a key of its own."""

    def __init__(self, key: str, description: str) -> None:
        self._description = description
        self._shown = 0.0
        made = create_progress_artifact(0.0, key=key, description=description)
        assert isinstance(made, UUID)  # it is a coroutine only where one runs already
        self._artifact = made

    def tell(self, part: float, what: str) -> None:
        """So much of 1 is done, and this is at work now."""
        self._shown = max(self._shown, part)
        update_progress_artifact(self._artifact, self._shown * 100, description=f"{self._description} {what}")
