"""The names of the states that a run ends in when it ends well, and has something to say."""

from __future__ import annotations

from typing import TypeVar, cast

from prefect.states import Completed

from tasks.core.change import Plan

DRIFT = "Drift"
"""The hub is not as it should be, and the run was not told to repair it."""
PLANNED = "Planned"
"""Something would change, and only the plan was asked for."""
SUPERSEDED = "Superseded"
"""The run's time had been missed, and one of a later time does the work."""

Result = TypeVar("Result")


def ended_as(name: str, reason: str, result: Result) -> Result:
    """What a flow returns to end Completed under another name, with why: whoever calls the flow gets ``result``.

    To Prefect (3.8) a state that a flow returns is how its run ended, and the state's data what the flow returned.
    """
    return cast("Result", Completed(name=name, message=reason, data=result))


def planned(plan: Plan, result: Result) -> Result:
    """What a flow returns that was asked for its plan only: its run ends Planned where there is something to do."""
    return result if plan.empty else ended_as(PLANNED, f"{len(plan.changes)} changes, and none was made", result)


def superseded(reason: str) -> None:
    """What a flow returns whose run a later one makes up for: no result, as nobody calls a scheduled run."""
    return ended_as(SUPERSEDED, reason, None)
