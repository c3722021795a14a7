"""`--remote`: a run in Prefect's own test server, taken by a thread as a worker would, ends here as it does there."""

from __future__ import annotations

import contextvars
import json
import time
import uuid
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.flow_engine import run_flow
from prefect.logging import get_run_logger
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Completed, Crashed

import flows.__main__ as command
import flows.remote as module
from config.spec import Hub
from deployments.register.form import form_of
from flows.__main__ import Exit, main
from flows.endings import DRIFT, PLANNED
from flows.remote import run_remotely
from tasks.core.errors import Permanent
from tests.flows.redeploying import runs_of
from tests.harbors import hub_with

PROFILE = "iav-v1"
TAKE_SECONDS = 20.0
Work = Callable[[FlowRun], object]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub of which nobody has heard, as what the profile describes; and no long waits."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(module, "STRAGGLERS_SECONDS", 0.5)
    monkeypatch.setattr(module, "ASK_AGAIN_SECONDS", 0.1)
    hub = hub_with(f"lab-{uuid.uuid4().hex[:8]}")

    def load(_name: str) -> Hub:
        return hub

    monkeypatch.setattr(command, "load_profile", load)
    return hub


def register(hub: Hub, name: str = "converge") -> None:
    """The flow's deployment, with the form that an installation gives it."""
    fixed = {"profile": PROFILE}
    form = form_of(f"flows.{name}.{name}", fixed)
    with get_client(sync_client=True) as client:
        client.create_deployment(
            client.create_flow_from_name(name), hub.name, tags=["hubwright", f"hub:{hub.name}"], parameters=fixed,
            parameter_openapi_schema=form, enforce_parameter_schema=True,
        )  # fmt: skip


@contextmanager
def worker(hub: Hub, work: Work) -> Generator[Future[None]]:
    """Takes the first run of the hub."""

    def take() -> None:
        end = time.monotonic() + TAKE_SECONDS
        while not (runs := runs_of(hub)):
            assert time.monotonic() < end, "nobody started a run"
            time.sleep(0.05)
        work(runs[0])
        APILogHandler().flush()

    # Prefect's settings, which name the test server, are in the context.
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(contextvars.copy_context().run, take)
        yield done
        done.result(TAKE_SECONDS)


@flow(name="called")
def called() -> None:
    get_run_logger().warning("from the flow that it calls")


def working(end: Callable[[], State | None]) -> Work:
    @flow(name="converge")
    def work(profile: str, repair: bool = False) -> Any:
        get_run_logger().info("looking at %s [/b] repair=%s", profile, repair)
        called()
        return end()

    return lambda run: run_flow(work, flow_run=run, parameters=run.parameters, return_type="state")


def fail() -> None:
    raise Permanent("Kubernetes", "read the hub", "403", "give the right")


def ending(state: State) -> Work:
    """Something else than its flow ends the run."""

    def work(run: FlowRun) -> None:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(run.id, state, force=True)

    return work


def test_its_log_its_states_and_its_end_are_told(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    register(hub)
    with worker(hub, working(lambda: None)):
        assert main(["converge", PROFILE, "--repair", "--remote"]) is Exit.DONE
    (run,) = runs_of(hub)
    told = capsys.readouterr()
    assert told.err.startswith(f"started run {run.name} of converge/{hub.name}: http")
    assert f"/flow-run/{run.id}" in told.err.splitlines()[0]
    for line in ("INFO     looking at iav-v1 [/b] repair=True", "WARNING  from the flow that it calls"):
        assert told.err.count(line) == 1
    assert "● Completed" in told.err
    assert told.out.startswith("Completed")


@pytest.mark.parametrize(("work", "exit_code", "said"), [
    (working(fail), Exit.FAILED, "What to do: give the right"),
    (working(lambda: Completed(name=DRIFT, message="the hub runs another image")), Exit.CHANGES, "another image"),
    (working(lambda: Completed(name=PLANNED, message="1 change")), Exit.CHANGES, "1 change"),
    (ending(Crashed(message="its pod is gone")), Exit.FAILED, "its pod is gone"),
    (ending(Cancelled(message="enough")), Exit.FAILED, "enough"),
])  # fmt: skip
def test_it_ends_as_the_run_does(
    work: Work, exit_code: Exit, said: str, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    register(hub)
    with worker(hub, work):
        assert main(["converge", PROFILE, "--remote", "--json"]) is exit_code
    (run,) = runs_of(hub)
    ended = json.loads(capsys.readouterr().out)
    assert (ended["run"], ended["id"]) == (run.name, str(run.id))
    assert run.state
    assert ended["state"] == run.state.name
    assert said in ended["message"]


def test_parameters_that_nobody_gave_suit_the_deployments_form(hub: Hub) -> None:
    register(hub, "deploy")
    with worker(hub, ending(Completed())):
        assert main(["deploy", PROFILE, "--remote"]) is Exit.DONE
    assert runs_of(hub)[0].parameters == {"profile": PROFILE, "plan_only": False, "image": None}


def test_a_parameter_that_the_deployment_refuses_starts_nothing(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    register(hub, "deploy")
    assert main(["deploy", PROFILE, "--image", "latest", "--remote"]) is Exit.FAILED
    told = capsys.readouterr().err
    assert f"Prefect: start deploy/{hub.name}: 4" in told
    assert "latest" in told
    assert "correct what it refuses" in told
    assert runs_of(hub) == []


@pytest.mark.usefixtures("hub")
def test_a_hub_that_is_not_registered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["converge", PROFILE, "--remote"]) is Exit.FAILED
    told = capsys.readouterr().err
    assert "there is no such deployment" in told
    assert "python -m deployments.register" in told


@pytest.mark.usefixtures("hub")
def test_without_a_server_it_fails_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert main(["converge", PROFILE, "--remote"]) is Exit.FAILED
    assert "no answer: ConnectError" in capsys.readouterr().err
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert main(["converge", PROFILE, "--remote"]) is Exit.FAILED
    assert "PREFECT_API_URL is not set" in capsys.readouterr().err


def test_a_run_that_no_worker_takes_is_left_after_a_while(hub: Hub) -> None:
    register(hub)
    told: list[str] = []
    with pytest.raises(Permanent, match="Scheduled after 0:00:01; the run goes on") as caught:
        run_remotely(hub, "converge", {"profile": PROFILE}, told.append, timedelta(seconds=1))
    (run,) = runs_of(hub)
    assert f"prefect flow-run cancel {run.id}" in caught.value.remedy
    assert [line for line in told if "waiting for a worker of pool" in line] == told[-1:]


def test_an_interrupt_leaves_the_run_going(hub: Hub) -> None:
    register(hub)

    def say(line: str) -> None:
        if "waiting for a worker" in line:
            raise KeyboardInterrupt

    with pytest.raises(Permanent, match="interrupted; the run goes on") as caught:
        run_remotely(hub, "converge", {"profile": PROFILE}, say)
    (run,) = runs_of(hub)
    assert f"prefect flow-run cancel {run.id}" in caught.value.remedy
    assert run.state
    assert not run.state.is_final()


def test_a_server_that_restarts_meanwhile_is_waited_for(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    register(hub)
    read, failures = SyncPrefectClient.read_flow_run, [httpx.ConnectError("refused"), httpx.ReadError("reset")]

    def falter(client: SyncPrefectClient, flow_run_id: uuid.UUID) -> FlowRun:
        if failures:
            raise failures.pop()
        return read(client, flow_run_id)

    monkeypatch.setattr(SyncPrefectClient, "read_flow_run", falter)
    told: list[str] = []
    with worker(hub, ending(Completed())):
        ended = run_remotely(hub, "converge", {"profile": PROFILE}, told.append)
    assert ended.completed
    assert sum("waiting for Prefect" in line for line in told) == 2


def test_a_run_that_somebody_deletes_ends_it(hub: Hub) -> None:
    register(hub)

    def delete(run: FlowRun) -> None:
        with get_client(sync_client=True) as client:
            client.delete_flow_run(run.id)

    with worker(hub, delete), pytest.raises(Permanent, match="somebody deleted it"):
        run_remotely(hub, "converge", {"profile": PROFILE}, lambda _line: None)


@pytest.mark.parametrize("arguments", [
    ["converge", "config/profiles/iav-v1.yaml", "--remote"],
    ["converge", PROFILE, "--timeout", "30m"],
])  # fmt: skip
def test_what_does_not_go_together_is_bad_input(arguments: list[str], hub: Hub) -> None:
    register(hub)
    assert main(arguments) is Exit.BAD_INPUT
    assert runs_of(hub) == []


@pytest.mark.parametrize("arguments", [
    ["lock-image", PROFILE, "--remote"],
    ["deploy", PROFILE, "--remote", "--timeout", "soon"],
])  # fmt: skip
def test_what_the_command_does_not_know_is_bad_input(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == Exit.BAD_INPUT
