"""What people are told of, and what repairs a hub by itself, as automations: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState, RunDeployment, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from deployments.register.declared import OURS

PREFIX = f"{OURS}: "
"""What the names of automations begin with that are registered here."""
STUCK_AFTER = timedelta(hours=2)
NOT_STARTED_AFTER = timedelta(minutes=15)
STARTING = ("Late", "Pending", "Submitting", "InfrastructurePending")
ENDS = ("Completed", "Drift", "Planned", "Superseded", "Failed", "TimedOut", "Crashed", "Cancelled")
LEFT_RUNNING = (*ENDS, "Cancelling", "Paused", "Suspended", "AwaitingRetry")
RUN = "prefect.flow-run"
AT_ONCE = timedelta(0)


@dataclass(frozen=True)
class Notice:
    """One kind of trouble: states of a run that tell of it at once, or that it must leave in time."""

    name: str
    happened: str
    remedy: str
    states: tuple[str, ...]
    within: timedelta = AT_ONCE
    left_by: tuple[str, ...] = field(default=())
    """The states that a run leaves ``states`` by; empty where ``states`` themselves are the trouble."""


NOTICES = (
    Notice(
        "a run failed",
        "failed",
        "what it says above; then start it again. The newest healthy release serves meanwhile.",
        ("Failed", "TimedOut"),
    ),
    Notice(
        "a run crashed",
        "crashed: it was ended from outside",
        "see whether the run of converge that follows by itself ends well; else look why its pod ended.",
        ("Crashed",),
    ),
    Notice(
        "drift",
        "found the hub otherwise than its profile says",
        "run converge with Repair to put it right, or put the change into the profile.",
        ("Drift",),
    ),
    Notice(
        "a run is stuck",
        f"runs for more than {STUCK_AFTER // timedelta(hours=1)} hours",
        "look into its log; cancel it, and run converge with Repair.",
        ("Running", "Retrying"),
        STUCK_AFTER,
        LEFT_RUNNING,
    ),
    Notice(
        "a run does not start",
        f"has not started for {NOT_STARTED_AFTER // timedelta(minutes=1)} minutes",
        "look whether its work pool is paused, has a worker, and is below its limit; and whether its pod can start.",
        STARTING,
        NOT_STARTED_AFTER,
        ("Running", "Retrying", *LEFT_RUNNING),
    ),
)


NEVER_STARTED = Notice(
    "free what a run that never started holds",
    "was given to a pod, and has not started",
    "look why its pod did not start, or why Prefect did not hear of it.",
    ("Pending", "Submitting", "InfrastructurePending"),
    NOT_STARTED_AFTER,
    ("Running", "Retrying", "Scheduled", "Late", *LEFT_RUNNING),
)
"""A pod that came up while Prefect was away ends without a word, and its run would hold a place for ever."""


def free_never_started() -> AutomationCore:
    """Such a run is Crashed, so that others have its place; what it was to change is then repaired as after a crash."""
    message = f"Not started within {NOT_STARTED_AFTER // timedelta(minutes=1)} minutes: {NEVER_STARTED.remedy}"
    action = ChangeFlowRunState(name="Crashed", state=StateType.CRASHED, message=message, force=False)
    description = f"Ends a run that {NEVER_STARTED.happened}: it holds a place in its work pool."
    return _automation(NEVER_STARTED.name, description, _trigger(NEVER_STARTED), action)


def notifications(block: UUID, url: str) -> tuple[AutomationCore, ...]:
    """One automation for each kind of trouble, which tells it by a notification block."""
    return tuple(_notification(notice, block, url) for notice in NOTICES)


def repair_after_crash(hub: str, ids: Mapping[str, UUID]) -> AutomationCore:
    """When a deploy or rollback of the hub crashed, converge repairs it; ``ids`` has its deployments by full name."""
    changed_by = [f"prefect.deployment.{ids[f'{flow}/{hub}']}" for flow in ("deploy", "rollback")]
    trigger = EventTrigger(
        match=ResourceSpecification({"prefect.resource.id": f"{RUN}.*"}),
        match_related=ResourceSpecification(
            {"prefect.resource.role": "deployment", "prefect.resource.id": sorted(changed_by)}
        ),
        expect=_events(["Crashed"]),
        for_each={"prefect.resource.id"},
        posture=Posture.Reactive,
        threshold=1,
        within=AT_ONCE,
    )
    action = RunDeployment(
        source="selected", deployment_id=ids[f"converge/{hub}"], parameters={"repair": True}, job_variables=None
    )
    description = f"A run that was ended while it changed {hub} could not go back itself: converge does it instead."
    return _automation(f"repair {hub} after a crash", description, trigger, action)


def _notification(notice: Notice, block: UUID, url: str) -> AutomationCore:
    body = (
        f"{{{{ flow.name }}}} of hub {{{{ deployment.name }}}} {notice.happened}.\n\n"
        "Why: {{ flow_run.state.message or flow_run.state.name }}\n\n"
        f"What to do: {notice.remedy}\n\n{_link(url)}"
    )
    subject = f"Hubwright: {{{{ deployment.name }}}}: {notice.name} ({{{{ flow.name }}}})"
    action = SendNotification(block_document_id=block, subject=subject, body=body)
    description = f"Tells when a run of a hub's flow {notice.happened}."
    return _automation(notice.name, description, _trigger(notice), action)


def _trigger(notice: Notice) -> EventTrigger:
    """Reactive for a state that is trouble, proactive for one that is not left in time.

    What starts the watch is also expected: a run that goes on after a pause, or in another pod, is watched anew.
    """
    proactive = bool(notice.left_by)
    return EventTrigger(
        match=ResourceSpecification({"prefect.resource.id": f"{RUN}.*"}),
        match_related=ResourceSpecification(
            {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{OURS}"}
        ),
        after=_events(notice.states) if proactive else set(),
        expect=_events((*notice.states, *notice.left_by)),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive if proactive else Posture.Reactive,
        threshold=1,
        within=notice.within,
    )


def _events(states: Iterable[str]) -> set[str]:
    return {f"{RUN}.{state}" for state in states}


def _link(url: str) -> str:
    return f"{url.rstrip('/')}/runs/flow-run/{{{{ flow_run.id }}}}" if url else "{{ flow_run|ui_url }}"


def _automation(name: str, description: str, trigger: EventTrigger, action: ActionTypes) -> AutomationCore:
    return AutomationCore(name=PREFIX + name, description=description, tags=[OURS], trigger=trigger, actions=[action])
