"""From a delivery to a run, with a real Prefect: one push is one run, whoever tells of it and however often."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import httpx
import pytest
import uvicorn
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from pydantic import SecretStr

from config.spec import Hub
from deployments.receiver import app
from deployments.receiver.__main__ import serving
from deployments.receiver.app import make_app
from deployments.receiver.metrics import Metrics
from deployments.receiver.readiness import Readiness
from deployments.receiver.redeploys import Follower, Redeploys
from deployments.receiver.sources import why_no_prefect
from deployments.receiver.tokens import Tokens, refs_of
from flows.redeploy import start_redeploy
from tasks.core.errors import Permanent, Transient
from tasks.core.wait import wait_until
from tasks.registry.following import Followed
from tests.flows.redeploying import NOW, A, B, new_hub, pushed, register, runs_of

TOKEN = "Bearer secret"
HEADERS = {"Authorization": TOKEN}


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is: that an answer may be too late is for the fast tests."""
    monkeypatch.setattr(app, "ANSWER_SECONDS", 60.0)


def receive(hub: Hub, tag: Callable[[], Followed], *deliveries: tuple[str, int]) -> list[httpx.Response]:
    """A receiver of its own, which remembers nothing yet, is told of these pushes, one after another."""
    metrics = Metrics()
    tokens = Tokens({hub.name: refs_of(hub)}, lambda _ref: SecretStr(TOKEN))
    redeploys = Redeploys(lambda _hub: tag(), start_redeploy, metrics)
    receiver = make_app([Follower(hub.name, hub)], tokens, redeploys, metrics, Readiness(why_no_prefect))

    async def talk() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(receiver), base_url="http://receiver") as client:
            answers = [await client.post("/harbor", json=event(*one), headers=HEADERS) for one in deliveries]
            answers.append(await client.get("/readyz"))
        await redeploys.close()
        return answers

    return asyncio.run(talk())


def event(digest: str, moment: int) -> dict[str, Any]:
    """What Harbor tells of a push."""
    image = {"digest": digest, "tag": "v1", "resource_url": "registry.example.com/iav/tools/base-notebook:v1"}
    data = {"resources": [image], "repository": {"repo_full_name": "iav/tools/base-notebook"}}
    return {"type": "PUSH_ARTIFACT", "occur_at": moment, "event_data": data}


def outcomes(answers: list[httpx.Response]) -> list[str]:
    """How the deliveries ended."""
    return [answer.json()["outcome"] for answer in answers[:-1]]


def test_a_run_deploys_exactly_this_image_and_says_where_it_comes_from() -> None:
    hub = new_hub()
    started = start_redeploy(hub, hub.name, pushed(A))
    [run] = runs_of(hub)
    assert (started.run, started.made) == (str(run.id), True)
    assert run.parameters == {"profile": hub.name, "image": A}
    assert {*run.tags} == {"hubwright", f"hub:{hub.name}", "harbor"}
    assert run.name.startswith("v1-aaaaaaaaaaaa-")
    assert run.state
    assert run.state.is_scheduled()
    assert started.url.endswith(started.run)


def test_one_push_is_one_run_and_there_and_back_again_are_three() -> None:
    hub = new_hub()
    pushes = [pushed(A), pushed(A), pushed(B, 1), pushed(A, 2), pushed(B, 1)]
    started = [start_redeploy(hub, hub.name, push) for push in pushes]
    assert [one.made for one in started] == [True, False, True, True, False]
    assert started[0].run == started[1].run
    assert len(runs_of(hub)) == 3


def test_of_many_at_once_one_makes_the_run() -> None:
    hub = new_hub()
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda _: start_redeploy(hub, hub.name, pushed(A)), range(16)))
    assert [one.made for one in started].count(True) == 1
    assert len(runs_of(hub)) == 1


def test_a_hub_that_is_not_registered_and_parameters_that_do_not_fit_are_told() -> None:
    with pytest.raises(Permanent, match="no such deployment"):
        start_redeploy(new_hub(registered=False), "lab", pushed(A))
    hub = new_hub()
    with pytest.raises(Permanent, match="409"):
        start_redeploy(hub, "another", pushed(A))
    assert runs_of(hub) == []


def test_a_prefect_that_is_down_may_come_back() -> None:
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}),
        pytest.raises(Transient, match="no answer: ConnectError"),
    ):
        start_redeploy(new_hub(registered=False), "lab", pushed(A))


def test_deliveries_after_a_restart_and_by_another_receiver_make_no_other_run() -> None:
    hub = new_hub()
    told = [outcomes(receive(hub, lambda: pushed(A), (A, 1), (A, 1), (A, 2))) for _ in range(2)]
    assert told == [["started", "repeated", "known"], ["known", "repeated", "known"]]
    assert len(runs_of(hub)) == 1


def test_there_and_back_again_through_the_receiver_are_three_runs() -> None:
    hub = new_hub()
    tags = iter([pushed(A), pushed(B, 1), pushed(A, 2)])
    assert outcomes(receive(hub, lambda: next(tags), (A, 0), (B, 1), (A, 2))) == ["started"] * 3
    runs = sorted(runs_of(hub), key=lambda run: run.created or NOW)
    assert [run.parameters["image"] for run in runs] == [A, B, A]


def test_while_prefect_is_down_harbor_is_to_try_again_and_then_there_is_one_run() -> None:
    hub = new_hub()
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}):
        answer, ready = receive(hub, lambda: pushed(A), (A, 1))
    assert (answer.status_code, answer.json()["outcome"]) == (503, "unavailable")
    assert answer.headers["Retry-After"]
    assert ready.status_code == 503
    answer, ready = receive(hub, lambda: pushed(A), (A, 1))
    assert (answer.json()["outcome"], ready.status_code) == ("started", 200)
    assert len(runs_of(hub)) == 1


def test_a_delivery_under_way_is_answered_when_the_receiver_stops() -> None:
    hub, asked = new_hub(), threading.Event()

    def slowly(_hub: Hub) -> Followed:
        asked.set()
        time.sleep(0.5)
        return pushed(A)

    metrics = Metrics()
    tokens = Tokens({hub.name: refs_of(hub)}, lambda _ref: SecretStr(TOKEN))
    redeploys = Redeploys(slowly, start_redeploy, metrics)
    receiver = make_app([Follower(hub.name, hub)], tokens, redeploys, metrics, Readiness(why_no_prefect))
    server = uvicorn.Server(serving(receiver, port=0))
    with ThreadPoolExecutor(2) as pool:
        pool.submit(copy_context().run, server.run)
        wait_until("receiver", "start", lambda: "" if server.started else "not yet", seconds=10, remedy="", every=0.05)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/harbor"
        answer = pool.submit(httpx.post, url, json=event(A, 1), headers=HEADERS)
        assert asked.wait(10)
        server.should_exit = True
        assert answer.result(10).json()["outcome"] == "started"
        with pytest.raises(httpx.ConnectError):
            httpx.post(url, json=event(A, 1), headers=HEADERS)
    assert len(runs_of(hub)) == 1


def test_a_hub_without_a_deployment_fails_until_there_is_one() -> None:
    hub = new_hub(registered=False)
    assert receive(hub, lambda: pushed(A), (A, 1))[0].status_code == 500
    register(hub)
    assert receive(hub, lambda: pushed(A), (A, 1))[0].json()["hubs"] == {hub.name: "started"}
