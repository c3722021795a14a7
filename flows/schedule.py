"""A missed schedule is caught up once: of the runs that waited for a worker, only the newest one works."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger

from flows.endings import superseded

SCHEDULED_TAG = "auto-scheduled"
"""Prefect's scheduler puts it on each run that it makes."""
LOOKED_THROUGH = 50
"""A run that somebody started as a copy of a scheduled one has the tag too, so more than one is looked at."""

P = ParamSpec("P")
R = TypeVar("R")


def newest_turn_only(function: Callable[P, R]) -> Callable[P, R]:
    """Right under ``@flow``: a scheduled run does nothing when a later one of the same work is due already.

    Prefect keeps every run whose time came while nobody worked, and gives them all out afterwards, in any order or at
    once. Each of them that is not the newest ends Superseded, whatever became of the newest: what failed or was
    cancelled is not made up for by an older one. A run that somebody started is never affected.
    """

    @wraps(function)
    def turn(*args: P.args, **kwargs: P.kwargs) -> R:
        context = FlowRunContext.get()
        newer = _newer(context.flow_run) if context and context.flow_run else None
        if newer is None:
            return function(*args, **kwargs)
        reason = f"this time was missed, and the run of {newer.expected_start_time:%Y-%m-%d %H:%M %Z} does the work"
        get_run_logger().info("%s: %s", reason, newer.name)
        return cast("R", superseded(reason))  # Prefect takes a State for how the run ended

    # Prefect looks the names in annotations up in the module of the function it is given: this one. So they are values.
    turn.__dict__["__signature__"] = signature(function, eval_str=True)
    return turn


def _newer(run: FlowRun) -> FlowRun | None:
    """The newest scheduled run of the same work that is due by now; None when ``run`` is that itself."""
    if not (run.auto_scheduled and run.deployment_id and run.expected_start_time):
        return None
    now = datetime.now(UTC)
    due = FlowRunFilterExpectedStartTime(after_=cast("Any", run.expected_start_time), before_=cast("Any", now))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=[run.deployment_id]),
                expected_start_time=due,
                tags=FlowRunFilterTags(all_=[SCHEDULED_TAG]),
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=LOOKED_THROUGH,
        )
    # A schedule that somebody added in the UI may ask for something else: the same parameters are the same work.
    same = [one for one in found if one.auto_scheduled and one.parameters == run.parameters]
    newest = max((run, *same), key=_turn)
    return newest if newest.id != run.id else None


def _turn(run: FlowRun) -> tuple[datetime, UUID]:
    """What orders turns; of two at the same time, both take the same one for the newer."""
    return run.expected_start_time or datetime.min.replace(tzinfo=UTC), run.id
