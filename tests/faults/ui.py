"""The fault of a deploy that somebody cancels in Prefect's UI while it is at work."""

from __future__ import annotations

import sys
from typing import Any

import httpx

from deployments.sandbox.paths import CLONE
from tests.faults.faults import expect
from tests.faults.stage import Running, Stage
from tests.sandbox.conftest import Ended


class _FlowRun(Running):
    """A flow run of a deployment, as a worker runs it: by its id, in a process that looks whether it is cancelled."""

    def __init__(self, stage: Stage, flow_run: str) -> None:
        argv = [sys.executable, "-m", "prefect", "flow-run", "execute", flow_run]
        self.start(argv, stage, {"PYTHONPATH": str(CLONE)})


def cancelled(stage: Stage) -> Ended:
    """The run ends Cancelled, its Helm with it, and its fence is not given back: so the schedule knows."""
    stage.change()
    user, _, password = stage.sandbox.environment["PREFECT_API_AUTH_STRING"].partition(":")
    url = stage.sandbox.environment["PREFECT_API_URL"]
    with httpx.Client(base_url=url, auth=(user, password), timeout=30) as api:
        flow_run = _plan_run(api, stage)
        running = _FlowRun(stage, flow_run)
        stage.wait_for_status("pending-upgrade")
        state = {"type": "CANCELLING", "name": "Cancelling"}
        _ask(api, "POST", f"/flow_runs/{flow_run}/set_state", {"state": state, "force": False})
        ended = running.end()
        found = _ask(api, "GET", f"/flow_runs/{flow_run}")
    expect(found["state"]["type"] == "CANCELLED", f"it is cancelled, and not {found['state']}", ended)
    return Ended(1, "", ended.stderr)


def _plan_run(api: httpx.Client, stage: Stage) -> str:
    """A flow run of a deployment of the deploy flow, by its id."""
    flow = _ask(api, "POST", "/flows/", {"name": "deploy"})["id"]
    deployment = {
        "name": stage.profile.namespace,
        "flow_id": flow,
        "entrypoint": "flows.deploy.deploy",
        "enforce_parameter_schema": False,
    }
    made = _ask(api, "POST", "/deployments/", deployment)["id"]
    parameters = {"profile": str(stage.profile)}
    return str(_ask(api, "POST", f"/deployments/{made}/create_flow_run", {"parameters": parameters})["id"])


def _ask(api: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    answer = api.request(method, path, json=body)
    answer.raise_for_status()
    return answer.json()
