"""Runs of the deployments that are installed in the sandbox, by Prefect's API, which may be away for a while."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from tests.sandbox.conftest import Sandbox

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
ASK_SECONDS = 30.0
AWAY_SECONDS = 240.0
"""For so long the API may give no answer: its server, or its database, is being moved."""
RUN_SECONDS = 600.0
LOOK_SECONDS = 1.0
PAGE = 200

Run = Mapping[str, Any]
"""A flow run as the API tells it."""


@dataclass(frozen=True)
class Runs:
    """Prefect's API, as somebody who may use it."""

    api: httpx.Client

    def start(self, deployment: str, **parameters: Any) -> str:
        """A run of a deployment was made; returns its id."""
        made = self._ask("POST", f"/deployments/{self._deployment(deployment)}/create_flow_run", parameters=parameters)
        return str(made["id"])

    def read(self, run: str) -> Run:
        return self._ask("GET", f"/flow_runs/{run}")

    def of(self, deployment: str) -> list[Run]:
        """The newest runs of a deployment that were to have begun by now, newest first."""
        begun = {"expected_start_time": {"before_": datetime.now().astimezone().isoformat()}}
        return self._ask(
            "POST", "/flow_runs/filter", deployments={"id": {"any_": [self._deployment(deployment)]}},
            flow_runs=begun, sort="EXPECTED_START_TIME_DESC",
        )  # fmt: skip

    def history(self, run: str) -> list[Mapping[str, Any]]:
        """The states that a run was in, in their order."""
        found = self._ask("GET", f"/flow_run_states/?flow_run_id={run}")
        return sorted(found, key=lambda state: state["timestamp"])

    def said(self, run: str) -> str:
        """What a run wrote into its log so far, a line each."""
        lines: list[str] = []
        while True:
            of = {"flow_run_id": {"any_": [run]}}
            page = self._ask("POST", "/logs/filter", logs=of, sort="TIMESTAMP_ASC", limit=PAGE, offset=len(lines))
            lines += [line["message"] for line in page]
            if len(page) < PAGE:
                return "\n".join(lines)

    def end(self, run: str, seconds: float = RUN_SECONDS) -> Run:
        """The run, which has ended. Raises AssertionError when it has not in time."""
        return self.until(run, ENDED, seconds)

    def until(self, run: str, types: tuple[str, ...], seconds: float = RUN_SECONDS) -> Run:
        """The run, whose state is of one of these types."""
        deadline = time.monotonic() + seconds
        while (found := self.read(run))["state"]["type"] not in types:
            assert time.monotonic() < deadline, f"run {found['name']} is {found['state']['name']} after {seconds:.0f} s"
            time.sleep(LOOK_SECONDS)
        return found

    def _deployment(self, name: str) -> str:
        return str(self._ask("GET", f"/deployments/name/{name}")["id"])

    def _ask(self, method: str, path: str, **body: Any) -> Any:
        deadline = time.monotonic() + AWAY_SECONDS
        while True:
            try:
                return self.api.request(method, path, json=body or None).raise_for_status().json()
            except httpx.HTTPError as error:
                refused = isinstance(error, httpx.HTTPStatusError) and error.response.is_client_error
                if refused or time.monotonic() > deadline:
                    raise
            time.sleep(LOOK_SECONDS)


@contextmanager
def open_runs(sandbox: Sandbox) -> Generator[Runs]:
    """Prefect's API in the sandbox."""
    user, _, password = sandbox.environment["PREFECT_API_AUTH_STRING"].partition(":")
    url = sandbox.environment["PREFECT_API_URL"]
    with httpx.Client(base_url=url, auth=(user, password), timeout=ASK_SECONDS, trust_env=False) as api:
        yield Runs(api)
