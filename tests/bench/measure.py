"""One run of Hubwright, or of the plain helm command, with what it cost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from deployments.sandbox.paths import CLONE
from tests.bench.hubs import Hubs
from tests.sandbox.conftest import RELEASE, Sandbox

COMMAND_SECONDS = 300
CHECKS = "check hub"


@dataclass(frozen=True)
class Measured:
    """What a run cost. Times are in seconds and leave the checks out; memory is in MB."""

    seconds: float
    cpu_seconds: float
    memory: float
    writes: int
    shell_seconds: float = 0.0
    flow_seconds: float = 0.0
    steps: Mapping[str, float] = field(default_factory=dict[str, float])
    """How long each task of the flow took, in the order in which they began."""


@dataclass(frozen=True)
class Ended:
    """A command that ended, with what the kernel says that it and its children used."""

    seconds: float
    cpu_seconds: float
    memory: float
    stderr: str


def hubwright(hubs: Hubs) -> Measured:
    """Deploy our hub by the shell command."""
    start = hubs.sandbox.audit.now()
    ended = run(hubs.sandbox.command("deploy", str(hubs.ours), "--json"), hubs.sandbox.environment)
    writes = hubs.sandbox.audit.writes(start, hubs.ours.namespace, ("hubwright", "Helm"))
    found = re.search(r"flow-run/([0-9a-f-]{36})", ended.stderr)
    assert found, ended.stderr
    flow, steps = read_times(hubs.sandbox, UUID(found[1]), "record release")
    shell = ended.seconds - steps[CHECKS]
    return Measured(shell, ended.cpu_seconds, ended.memory, len(writes), shell, flow - steps[CHECKS], steps)


def plain_helm(hubs: Hubs, values: Mapping[str, Any]) -> Measured:
    """Install or upgrade the other hub, which has the same values, by helm alone."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        start = hubs.sandbox.audit.now()
        argv = [
            "helm", "upgrade", RELEASE, str(hubs.chart), "--install", "--wait", "--timeout", "120s",
            "--namespace", hubs.theirs.namespace, "--values", file.name,
        ]  # fmt: skip
        ended = run(argv, hubs.sandbox.environment)
    writes = hubs.sandbox.audit.writes(start, hubs.theirs.namespace, ("Helm",))
    return Measured(ended.seconds, ended.cpu_seconds, ended.memory, len(writes))


def run(argv: Sequence[str], environment: Mapping[str, str]) -> Ended:
    """Run a command; one that takes too long or fails ends the benchmark."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as stderr:
        argv = ["timeout", str(COMMAND_SECONDS), *argv]
        child = subprocess.Popen(argv, cwd=CLONE, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        stderr.seek(0)
        said = stderr.read()
    assert child.returncode == 0, said[-3000:]
    return Ended(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said)


def read_times(sandbox: Sandbox, run_id: UUID, last_step: str) -> tuple[float, dict[str, float]]:
    """How long the flow run took until its last task ended, and how long each task did.

    What comes after is Prefect's own: its heartbeat thread sleeps up to a second more (flow_engine.py, 3.8).
    """
    with (
        temporary_settings(
            {
                PREFECT_API_URL: sandbox.environment["PREFECT_API_URL"],
                PREFECT_API_AUTH_STRING: sandbox.environment["PREFECT_API_AUTH_STRING"],
            }
        ),
        get_client(sync_client=True) as client,
    ):
        deadline = time.monotonic() + 30
        while True:  # what tasks were is told by events, which the server works off a little later
            flow = client.read_flow_run(run_id)
            tasks = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])))
            times = {task.name.rpartition("-")[0]: (task.start_time, task.end_time) for task in tasks}
            if last_step in times and all(all(pair) for pair in times.values()):
                break
            assert time.monotonic() < deadline, times
            time.sleep(0.5)
    spans = sorted((begun, ended, name) for name, (begun, ended) in times.items() if begun and ended)
    last = max(ended for _, ended, _ in spans)
    assert flow.start_time
    return (last - flow.start_time).total_seconds(), {
        name: (ended - begun).total_seconds() for begun, ended, name in spans
    }
