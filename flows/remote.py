"""A flow run in the cluster as if it were here: its deployment's run is started, and followed to its end."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
    LogFilterTimestamp,
)
from prefect.client.schemas.objects import FlowRun, Log, State
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.utilities.urls import url_for

from config.spec import Hub
from config.types import parse_duration
from flows.prefect_client import open_client, prefect_errors
from tasks.core.errors import Permanent
from tasks.core.wait import ask_patiently

LIMIT = timedelta(hours=1)
LIMITS = {"rebuild-image": timedelta(hours=2)}
"""How long a run is followed, unless somebody says otherwise; the time to approve its plan comes on top."""
POLL_SECONDS = 1.0
SILENT_SECONDS = 300.0
"""For so long Prefect may give no answer while a run is followed: longer than its server takes to be moved."""
ASK_AGAIN_SECONDS = 5.0
REMIND_SECONDS = 30.0
STRAGGLERS_SECONDS = 3.0
"""Within this time after its end, the last lines of a run have come: its process sends them in batches."""
OVERLAP = timedelta(seconds=30)
"""Lines of so long ago are looked at again: worker, flow and tasks each send their own batches."""
PAGE = 200
UNTAKEN = ("Scheduled", "Late")

Say = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Ended:
    """How a run ended: the name of its state and what it said, and whether that means that its work is done."""

    run: str
    id: str
    url: str
    state: str
    message: str
    completed: bool


def run_remotely(hub: Hub, flow: str, parameters: Mapping[str, Any], say: Say, limit: timedelta | None = None) -> Ended:
    """A run of the hub's deployment of the flow ended; ``say`` heard its log and states meanwhile.

    Raises Permanent where Prefect does not take it, when it has not ended within ``limit``, and when the person who
    follows it interrupts that: then the run goes on. Raises Transient where Prefect does not answer at the start.
    """
    deployment = f"{flow}/{hub.name}"
    with open_prefect() as client:
        run = _start(client, deployment, parameters)
        try:
            say(f"started run {run.name} of {deployment}: {url_of(run)}")
            state = _Following(client, run, say).to_its_end(limit or _limit_of(hub, flow))
        except KeyboardInterrupt:
            raise _given_up(run, "interrupted; the run goes on") from None
    return Ended(run.name, str(run.id), url_of(run), _name(state), state.message or "", state.is_completed())


def _limit_of(hub: Hub, flow: str) -> timedelta:
    approval = parse_duration(hub.approval.timeout) if hub.approval else timedelta()
    return LIMITS.get(flow, LIMIT) + approval


def open_prefect() -> SyncPrefectClient:
    """A client of the server that PREFECT_API_URL names. Raises Permanent where none is named."""
    if not PREFECT_API_URL.value():
        # Prefect would start a server of its own for this process, in which there is no deployment.
        remedy = "set it to where the installation's Prefect serves, like https://prefect.example.com/api"
        raise Permanent("Prefect", "start a run of a deployment", "PREFECT_API_URL is not set", remedy)
    return open_client()


def url_of(run: FlowRun) -> str:
    """Where people see the run; its id where Prefect's UI has no address."""
    return url_for("flow-run", obj_id=run.id) or str(run.id)


def _start(client: SyncPrefectClient, deployment: str, parameters: Mapping[str, Any]) -> FlowRun:
    # Prefect's client sends a request again when its answer was lost: by the key, there is one run all the same.
    key = str(uuid.uuid4())
    with prefect_errors(f"start {deployment}"):
        found = client.read_deployment_by_name(deployment)
        return client.create_flow_run_from_deployment(found.id, parameters=dict(parameters), idempotency_key=key)


def _given_up(run: FlowRun, answered: str) -> Permanent:
    remedy = f"see {url_of(run)}; `prefect flow-run cancel {run.id}` ends it"
    return Permanent("Prefect", f"follow run {run.name} to its end", answered, remedy)


class _Following:
    """A run that is looked at again and again; each line of its log and each state is told once."""

    def __init__(self, client: SyncPrefectClient, run: FlowRun, say: Say) -> None:
        self._client, self._run, self._say = client, run, say
        self._state = ""
        self._remind_at = 0.0
        self._told: frozenset[uuid.UUID] = frozenset()
        self._newest: datetime | None = None

    def to_its_end(self, limit: timedelta) -> State:
        """The state that the run ended in. Raises Permanent when that takes longer."""
        deadline = time.monotonic() + limit.total_seconds()
        while (state := self._look()) is None:
            if time.monotonic() > deadline:
                raise _given_up(self._run, f"{self._state} after {limit}; the run goes on")
            time.sleep(POLL_SECONDS)
        end = time.monotonic() + STRAGGLERS_SECONDS
        while time.monotonic() < end:
            time.sleep(POLL_SECONDS)
            self._tell_lines()
        return state

    def _look(self) -> State | None:
        """What is new was told; the state that the run ended in, None while it goes on."""
        self._run = self._patiently(self._read_run)
        self._tell_lines()
        state = self._run.state
        if state is None:
            return None
        if _name(state) != self._state:
            self._state = _name(state)
            self._say(f"{_clock(state.timestamp)} ● {_described(state, self._run)}")
        if self._state in UNTAKEN and time.monotonic() >= self._remind_at:
            self._remind_at = time.monotonic() + REMIND_SECONDS
            self._say(f"waiting for a worker of pool {self._run.work_pool_name}")
        return state if state.is_final() else None

    def _tell_lines(self) -> None:
        lines = self._patiently(self._read_lines)
        for line in lines:
            if line.id not in self._told:
                level = logging.getLevelName(line.level)
                self._say(f"{_clock(line.timestamp)} {level:<8} {line.message}")
        if lines:
            self._told, self._newest = frozenset(line.id for line in lines), lines[-1].timestamp

    def _read_run(self) -> FlowRun:
        try:
            return self._client.read_flow_run(self._run.id)
        except ObjectNotFound:
            asked = f"follow run {self._run.name} to its end"
            raise Permanent("Prefect", asked, "somebody deleted it", "start it again if it is still wanted") from None

    def _read_lines(self) -> list[Log]:
        """Lines of the run and of the flows that it called, from shortly before the newest one that is known."""
        parent = FlowRunFilterParentFlowRunId(any_=[self._run.id])
        called = self._client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id=parent))
        since = LogFilterTimestamp(after_=cast("Any", self._newest - OVERLAP)) if self._newest else None
        runs = LogFilterFlowRunId(any_=[self._run.id, *(run.id for run in called)])
        wanted, lines = LogFilter(flow_run_id=runs, timestamp=since), list[Log]()
        while True:
            page = self._client.read_logs(wanted, limit=PAGE, offset=len(lines))
            lines += page
            if len(page) < PAGE:
                return lines

    def _patiently(self, read: Callable[[], T]) -> T:
        def ask() -> T:
            with prefect_errors(f"follow run {self._run.name}"):
                return read()

        return ask_patiently(ask, self._say, seconds=SILENT_SECONDS, every=ASK_AGAIN_SECONDS)


def _described(state: State, run: FlowRun) -> str:
    text = f"{_name(state)}: {state.message}" if state.message else _name(state)
    return f"{text}: somebody has to decide, see {url_of(run)}" if state.is_paused() else text


def _name(state: State) -> str:
    return state.name or state.type.value.title()


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone():%H:%M:%S}"
