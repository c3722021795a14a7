"""Somebody looks at the plan of a deploy, and says yes in Prefect's UI, before anything is changed."""

from __future__ import annotations

from collections import Counter
from typing import Literal
from uuid import uuid4

from prefect.context import FlowRunContext
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_API_URL
from prefect.utilities.urls import url_for
from pydantic import Field

from config.spec import Hub
from config.types import parse_duration
from tasks.core.change import Plan
from tasks.core.errors import Permanent

POLL_SECONDS = 5
SHOWN_CHANGES = 30


class Approval(RunInput):
    """The form that a paused run shows when somebody resumes it."""

    decision: Literal["approve", "refuse"] = Field(
        title="Decision", description="Carry out exactly this plan, or end the run without touching anything."
    )
    name: str = Field(
        title="Your name", description="Who decides; it stands in the run's log.", min_length=1, max_length=100
    )
    comment: str = Field(default="", title="Comment", description="Why; it stands in the run's log.", max_length=1000)


def ask_for_approval(hub: Hub, plan: Plan) -> bool:
    """Somebody approved the plan; whether anybody was asked: only where the profile wants it, and something changes.

    The run is paused for as long, and holds no fence. Raises Permanent when it is refused, and when nobody answers.
    """
    if hub.approval is None or plan.empty:
        return False
    if not PREFECT_API_URL.value():
        remedy = "set PREFECT_API_URL to the address of Prefect's server, or deploy with --remote"
        raise _refusal(hub, "this run has no Prefect server that anybody could answer in", remedy)
    get_run_logger().warning("waiting up to %s for somebody to approve the plan: %s", hub.approval.timeout, _place())
    answer = _ask(hub, plan, hub.approval.timeout)
    said = f"by {answer.name}{f': {answer.comment}' if answer.comment else ''}"
    if answer.decision == "refuse":
        raise _refusal(hub, f"it was refused {said}", "talk to them; nothing was touched")
    get_run_logger().info("approved %s", said)
    return True


def require_approved(hub: Hub, approved: Plan, made: Plan, plan: Plan) -> None:
    """Raises Permanent when what is to change is not what was approved, but for what this run ``made`` itself since."""
    if hub.approval is None:
        return
    # What was made is in the plan no more; everything else has to be there as it was.
    left = Counter(approved) - Counter(made)
    if left != Counter(plan):
        added = [str(change) for change in (Counter(plan) - left).elements()]
        gone = [str(change) for change in (left - Counter(plan)).elements()]
        found = f"it is another one by now (new: {_listed(added)}; gone: {_listed(gone)}); nothing was touched"
        raise _refusal(hub, found, "run it again, and look at the new plan")


def _ask(hub: Hub, plan: Plan, timeout: str) -> Approval:
    form = Approval.with_initial_data(description=_describe(hub, plan))
    try:
        # A key of its own for each try: a run that was moved to another node asks anew.
        return pause_flow_run(
            wait_for_input=form,
            timeout=int(parse_duration(timeout).total_seconds()),
            poll_interval=POLL_SECONDS,
            key=f"approval-{uuid4()}",
        )
    except FlowPauseTimeout:
        raise _refusal(hub, f"nobody approved it within {timeout}", "run it again; nothing was touched") from None


def _refusal(hub: Hub, answered: str, remedy: str) -> Permanent:
    return Permanent("approval", f"carry out the plan of {hub.name}", answered, remedy)


def _describe(hub: Hub, plan: Plan) -> str:
    """The plan in Markdown, as the form shows it."""
    lines = [f"- `{str(change).replace('`', chr(39))}`" for change in plan.changes[:SHOWN_CHANGES]]
    more = len(plan.changes) - len(lines)
    lines += [f"- and {more} more"] if more > 0 else []
    return "\n".join(
        (
            f"**What changes at {hub.name}:**",
            "",
            *lines,
            "",
            f"The whole plan is this run's artifact `plan-{hub.name}`.",
        )
    )


def _listed(changes: list[str]) -> str:
    more = len(changes) - SHOWN_CHANGES
    return ", ".join(changes[:SHOWN_CHANGES]) + (f" and {more} more" if more > 0 else "") or "nothing"


def _place() -> str:
    """Where the paused run can be resumed."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    assert run, "only a flow asks"
    return url_for("flow-run", obj_id=run.id) or f"resume the flow run {run.name} in Prefect's UI"
