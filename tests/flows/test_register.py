"""Registering against a real Prefect: what is made, that nothing is written twice, and what people chose stays."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret
from prefect.client.base import PrefectHttpxSyncClient
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL
from prefect.states import Crashed
from ruamel.yaml import YAML

from config import profiles
from deployments.register.__main__ import Exit, main
from deployments.register.automations import canonical

IMAGE = f"registry.example.com/platform/flows@sha256:{'a' * 64}"
TEMPLATE = {
    "variables": {"type": "object", "properties": {"image": {"type": "string"}}},
    "job_configuration": {"image": "{{ image }}"},
}
CRASH_SECONDS = 30.0
COMMAND_SECONDS = 120.0

Register = Callable[..., Exit]


@pytest.fixture
def client() -> Generator[SyncPrefectClient, None, None]:
    with get_client(sync_client=True) as found:
        yield found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "installation.yaml"


@pytest.fixture
def register(file: Path) -> Register:
    """Registers thinkube and iav-v1, with changes of the installation file."""

    def run(**changes: Any) -> Exit:
        pools = {"hubs": TEMPLATE, "images": TEMPLATE}
        document = {"image": IMAGE, "hubs": ["thinkube", "iav-v1"], "pools": pools, "limits": {"hubs": 4, "images": 1}}
        YAML(typ="safe").dump({**document, **changes}, file)
        return main(["--installation", str(file)])

    return run


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every request since that asks for more than to be told something."""
    seen: list[str] = []
    send = PrefectHttpxSyncClient.send

    def count(self: PrefectHttpxSyncClient, request: httpx.Request, *arguments: Any, **options: Any) -> httpx.Response:
        if request.method != "GET" and not request.url.path.endswith("/filter"):
            seen.append(f"{request.method} {request.url.path}")
        return send(self, request, *arguments, **options)

    monkeypatch.setattr(PrefectHttpxSyncClient, "send", count)
    return seen


@pytest.fixture
def block() -> str:
    hook = CustomWebhookNotificationBlock.model_validate({"name": "operations", "url": "https://hook.example.com"})
    hook.save("operations", overwrite=True)
    return "custom-webhook/operations"


def deployment(client: SyncPrefectClient, name: str) -> DeploymentResponse:
    return client.read_deployment_by_name(name)


def schedule_of(client: SyncPrefectClient, name: str) -> Any:
    (found,) = [one for one in deployment(client, name).schedules if one.slug]
    return found


def ours(client: SyncPrefectClient) -> dict[str, Automation]:
    return {one.name: one for one in client.read_automations() if one.name.startswith("hubwright: ")}


def test_a_second_time_writes_nothing(register: Register, block: str, writes: list[str]) -> None:
    assert register(notify=block) is Exit.DONE
    writes.clear()
    assert register(notify=block) is Exit.DONE
    assert writes == []


def test_another_process_writes_nothing_either(register: Register, block: str, file: Path) -> None:
    register(notify=block)
    environment = {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value(), "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-m", "deployments.register", "--installation", str(file)]
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )
    assert ended.returncode == Exit.DONE, ended.stderr
    assert "nothing to change" in ended.stderr


def test_a_deployment_is_what_a_worker_needs_and_a_person_understands(
    register: Register, client: SyncPrefectClient
) -> None:
    register()
    found = deployment(client, "deploy/thinkube")
    assert found.entrypoint == "flows.deploy.deploy"
    assert found.work_pool_name == "hubs"
    assert found.job_variables == {"image": IMAGE}
    assert sorted(found.tags) == ["hub:thinkube", "hubwright"]
    assert (found.description or "").startswith("Brings thinkube to what its profile says")
    properties = (found.parameter_openapi_schema or {})["properties"]
    assert properties["plan_only"]["title"] == "Plan only"
    assert properties["plan_only"]["description"] == "Show what would change, and change nothing."
    assert properties["plan_only"]["default"] is False
    assert properties["profile"]["enum"] == ["thinkube"]


def test_a_run_needs_no_parameters_and_takes_no_other_hub(register: Register, client: SyncPrefectClient) -> None:
    register()
    found = deployment(client, "deploy/thinkube")
    assert client.create_flow_run_from_deployment(found.id).parameters == {"profile": "thinkube"}
    with pytest.raises(PrefectHTTPStatusError, match="is not one of"):
        client.create_flow_run_from_deployment(found.id, parameters={"profile": "iav-v1"})


def test_another_image_is_written_once_to_each(
    register: Register, client: SyncPrefectClient, writes: list[str]
) -> None:
    register()
    writes.clear()
    other = IMAGE.replace("a" * 64, "b" * 64)
    register(image=other)
    assert [write.split()[0] for write in writes] == ["PATCH"] * 10
    assert deployment(client, "teardown/iav-v1").job_variables == {"image": other}


def test_a_paused_schedule_stays_paused_when_its_time_changes(
    register: Register, client: SyncPrefectClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    before = schedule_of(client, "converge/thinkube")
    client.update_deployment_schedule(deployment(client, "converge/thinkube").id, before.id, active=False)
    monkeypatch.setattr(profiles, "INSTALLED", tmp_path)
    (tmp_path / "thinkube.yaml").write_text(
        "extends: thinkube\nschedules: {drift: 7 5 * * *, timezone: Europe/Berlin}\n"
    )
    register()
    after = schedule_of(client, "converge/thinkube")
    assert (after.schedule.cron, after.schedule.timezone, after.active) == ("7 5 * * *", "Europe/Berlin", False)


def test_a_schedule_that_the_profile_takes_away_goes_and_one_of_a_persons_own_stays(
    register: Register, client: SyncPrefectClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    own = DeploymentScheduleCreate(schedule=CronSchedule(cron="1 1 1 1 *"))
    client.create_deployment_schedules(deployment(client, "renew-robots/thinkube").id, [own])
    monkeypatch.setattr(profiles, "INSTALLED", tmp_path)
    (tmp_path / "thinkube.yaml").write_text("extends: thinkube\nschedules: {robots: null}\n")
    register()
    left = deployment(client, "renew-robots/thinkube").schedules
    assert [(one.slug, getattr(one.schedule, "cron", "")) for one in left] == [(None, "1 1 1 1 *")]


def test_a_hub_that_is_no_longer_listed_runs_no_more_by_itself_until_it_is_again(
    register: Register, client: SyncPrefectClient, writes: list[str]
) -> None:
    register()
    client.pause_deployment(deployment(client, "rollback/iav-v1").id)  # by a person
    register(hubs=["thinkube"])
    assert deployment(client, "converge/iav-v1").paused
    assert not deployment(client, "converge/thinkube").paused
    assert "hubwright: repair iav-v1 after a crash" not in ours(client)
    writes.clear()
    register(hubs=["thinkube"])
    assert writes == []
    register()
    assert not deployment(client, "converge/iav-v1").paused
    assert sorted(deployment(client, "converge/iav-v1").tags) == ["hub:iav-v1", "hubwright"]
    assert deployment(client, "rollback/iav-v1").paused


def test_a_pool_is_as_declared_and_stays_paused(register: Register, client: SyncPrefectClient) -> None:
    register()
    client.update_work_pool("hubs", WorkPoolUpdate(is_paused=True))
    register(limits={"hubs": 2})
    hubs, images = client.read_work_pool("hubs"), client.read_work_pool("images")
    assert (hubs.type, hubs.base_job_template, hubs.concurrency_limit) == ("kubernetes", TEMPLATE, 2)
    assert images.concurrency_limit is None
    assert hubs.is_paused
    client.update_work_pool("hubs", WorkPoolUpdate(is_paused=False))


def test_a_pool_of_another_type_is_left_alone(
    register: Register, client: SyncPrefectClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.create_work_pool(WorkPoolCreate(name="others", type="process"))
    assert register(pools={"hubs": TEMPLATE, "images": TEMPLATE, "others": {}}) is Exit.FAILED
    assert "it is of type process, not kubernetes" in capsys.readouterr().err


def test_people_are_told_by_a_block_until_nobody_is_to_be_told(
    register: Register, client: SyncPrefectClient, block: str
) -> None:
    register(notify=block, url="https://prefect.example.com")
    repairs = {f"hubwright: repair {hub} after a crash" for hub in ("thinkube", "iav-v1")}
    told = {"a run failed", "a run crashed", "drift", "a run is stuck", "a run does not start"}
    always = repairs | {"hubwright: free what a run that never started holds"}
    assert ours(client).keys() == always | {f"hubwright: {name}" for name in told}
    register()
    assert ours(client).keys() == always


def test_an_automation_that_somebody_switched_off_stays_off(
    register: Register, client: SyncPrefectClient, block: str
) -> None:
    register(notify=block)
    client.pause_automation(ours(client)["hubwright: drift"].id)
    register(notify=block, url="https://elsewhere.example.com")
    drift = ours(client)["hubwright: drift"]
    assert not drift.enabled
    assert "https://elsewhere.example.com/runs" in drift.actions[0].model_dump_json()


def test_of_two_automations_of_one_name_one_is_left(register: Register, client: SyncPrefectClient) -> None:
    register()
    name = "hubwright: repair thinkube after a crash"
    client.create_automation(AutomationCore.model_validate(canonical(ours(client)[name])))
    register()
    assert [one.name for one in client.read_automations()].count(name) == 1


@pytest.mark.parametrize(
    ("notify", "told"), [("custom-webhook/nobody", "there is no such block"), ("secret/quiet", "it sends no notif")]
)
def test_a_block_that_cannot_tell_anybody_is_said_so(
    register: Register, notify: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Secret(value="nothing").save("quiet", overwrite=True)  # pyright: ignore[reportArgumentType] - it takes any JSON
    assert register(notify=notify) is Exit.FAILED
    assert told in capsys.readouterr().err


def test_a_deploy_that_crashed_is_repaired_by_itself(register: Register, client: SyncPrefectClient) -> None:
    register()
    run = client.create_flow_run_from_deployment(deployment(client, "deploy/iav-v1").id)
    client.set_flow_run_state(run.id, Crashed(message="its pod was lost"), force=True)
    converge = deployment(client, "converge/iav-v1").id
    deadline = time.monotonic() + CRASH_SECONDS
    while time.monotonic() < deadline:
        runs = [one for one in client.read_flow_runs() if one.deployment_id == converge and not one.auto_scheduled]
        if runs:
            assert runs[0].parameters == {"profile": "iav-v1", "repair": True}
            return
        time.sleep(0.5)
    pytest.fail(f"no run of converge within {CRASH_SECONDS} s")
