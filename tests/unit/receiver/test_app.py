"""Deliveries: who may send them, which lead to a run, and what Harbor is answered."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from config.registry import Severity
from deployments.receiver import app, redeploys
from tasks.core.errors import Permanent, Transient
from tasks.registry.state import Vulnerability
from tests.unit.receiver.receivers import DIGEST, FIXTURES, FOLLOWED, OTHER, TOKEN, Client, World, hub, sample

PUSH = "push-artifact-tagged-cloudevents"
DOWN = Transient("Prefect", "start deploy/lab", "no answer", "wait")
MISSING = Permanent("Prefect", "start deploy/lab", "there is no such deployment", "register it")
CVE = Vulnerability("CVE-1", Severity.CRITICAL, "openssl", "3.0", "", "")


def outcome(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return answer.json()["outcome"]


@pytest.mark.parametrize("path", sorted(FIXTURES.iterdir()), ids=lambda path: path.stem)
@pytest.mark.parametrize("deploy_on", ["push", "scan"])
def test_only_what_the_hub_is_deployed_by_leads_to_a_run(path: Any, deploy_on: str) -> None:
    world = World([hub(deploy_on=deploy_on)])
    answer = world.deliver(json.loads(path.read_text()))
    push = path.stem.startswith("push-artifact-tagged")
    scan = path.stem.startswith("scanning-completed") and not ("sbom" in path.stem or "child" in path.stem)
    deployed = push or (scan and deploy_on == "scan")
    assert outcome(answer, 202) == ("started" if deployed else "ignored")
    assert world.starts == ([f"profile-lab: {DIGEST}"] if deployed else [])


def test_what_is_deployed_is_what_harbor_has_now_and_not_what_was_sent() -> None:
    world = World(tag=replace(FOLLOWED, digest="sha256:" + "f" * 64))
    assert outcome(world.deliver(sample(PUSH)), 202) == "started"
    assert world.starts == [f"profile-lab: sha256:{'f' * 64}"]


@pytest.mark.parametrize("reference", [
    "registry.example.com/iav/base-notebook:v2", "registry.example.com/iav/other:v1",
    f"registry.example.com/iav/base-notebook@{DIGEST}",
])  # fmt: skip
def test_a_tag_that_no_hub_follows_is_ignored_and_harbor_not_asked(reference: str) -> None:
    world = World([hub(reference=reference)])
    assert outcome(world.deliver(sample(PUSH)), 202) == "ignored"
    assert world.reads == []


def test_a_tag_that_is_gone_again_leads_to_nothing() -> None:
    world = World(tag=None)
    assert outcome(world.deliver(sample(PUSH)), 202) == "left"
    assert world.starts == []


@pytest.mark.parametrize(("scan", "found", "ends"), [
    ("Running", (), "left"), ("Error", (), "left"), ("Success", (CVE,), "left"), ("Success", (), "started"),
])  # fmt: skip
def test_a_hub_that_awaits_scans_is_deployed_by_a_clean_one_alone(scan: str, found: Any, ends: str) -> None:
    world = World([hub(deploy_on="scan")], tag=replace(FOLLOWED, scan=scan, found=found))
    answer = world.deliver(sample("scanning-completed-clean-default"))
    assert outcome(answer, 202) == ends
    if found:
        assert "CVE-1 in openssl" in answer.json()["reason"]


@pytest.mark.parametrize("token", [None, "", "Bearer wrong", TOKEN.lower(), f"{TOKEN}x", TOKEN[:-1], "sécret"])
def test_whoever_does_not_know_the_secret_is_heard_no_further(token: str | None) -> None:
    world = World()
    answer = world.run(lambda client: client.http.post("/harbor", content=b"{", headers=_header(token)))
    assert outcome(answer, 401) == "unauthorized"
    assert world.reads == []


def _header(token: str | None) -> dict[bytes, bytes]:
    return {b"Authorization": token.encode()} if token is not None else {}


def test_a_secret_beyond_ascii_is_taken_as_harbor_sends_it() -> None:
    world = World(secrets={"FIRST": "Bearer gehörig\n"})
    headers = {b"Authorization": "Bearer gehörig".encode(), b"Content-Type": b"application/json"}
    body = json.dumps(sample(PUSH)).encode()
    answer = world.run(lambda client: client.http.post("/harbor", content=body, headers=headers))
    assert outcome(answer, 202) == "started"


def test_a_secret_counts_for_the_hubs_that_name_it_alone() -> None:
    hubs = [hub(), hub("other", authorization={"env": "SECOND"})]
    world = World(hubs, secrets={"FIRST": TOKEN, "SECOND": OTHER})
    assert world.deliver(sample(PUSH), token=OTHER).json()["hubs"] == {"other": "started"}
    assert world.starts == [f"profile-other: {DIGEST}"]


@pytest.mark.parametrize(("content", "media", "status"), [
    (b"{", "application/json", 400), (b"[]", "application/cloudevents+json", 400), (b"{}", "text/plain", 415),
    (b"{}", "application/cloudevents-batch+json", 415), (b" " * (256 * 1024 + 1), "application/json", 413),
    (b" " * (256 * 1024), "application/json; charset=utf-8", 400),
])  # fmt: skip
def test_what_is_no_delivery_is_refused(content: bytes, media: str, status: int) -> None:
    world = World()
    assert world.deliver(content, media=media).status_code == status
    assert world.reads == []


def test_a_body_that_does_not_say_how_long_it_is_is_cut_off_too() -> None:
    sent = [0]

    async def endless() -> AsyncIterator[bytes]:
        while sent[0] < 2**20:
            sent[0] += 2**14
            yield b" " * 2**14

    async def talk(client: Client) -> httpx.Response:
        headers = {"Authorization": TOKEN, "Content-Type": "application/json"}
        return await client.http.post("/harbor", content=endless(), headers=headers)

    assert outcome(World().run(talk), 413) == "too large"


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "BODY_SECONDS", 0.05)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    async def talk(client: Client) -> httpx.Response:
        headers = {"Authorization": TOKEN, "Content-Type": "application/json"}
        return await client.http.post("/harbor", content=stuck(), headers=headers)

    assert World().run(talk).status_code == 400


def test_other_methods_and_paths_are_none() -> None:
    async def talk(client: Client) -> list[int]:
        return [(await client.http.get("/harbor")).status_code, (await client.http.post("/")).status_code]

    assert World().run(talk) == [405, 404]


def test_a_thousand_duplicates_at_once_are_one_question_and_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "ANSWER_SECONDS", 60.0)  # all of them are made in this process too, which takes its time

    async def talk(client: Client) -> list[httpx.Response]:
        await client.deliver(b"", token="Bearer wrong")  # secrets are read by now, as a server does before it serves
        at_once = await asyncio.gather(*[client.deliver(sample(PUSH)) for _ in range(1000)])
        return [*at_once, await client.deliver(sample(PUSH))]

    world = World(seconds=0.05)
    answers = world.run(talk)
    assert {answer.status_code for answer in answers} == {202}
    assert outcome(answers[-1], 202) == "repeated"
    assert (len(world.reads), len(world.starts), len(world.keys)) == (1, 1, 1)


def test_an_event_is_forgotten_after_a_while_and_prefect_still_knows_it() -> None:
    async def talk(client: Client) -> list[str]:
        first = await client.deliver(sample(PUSH))
        world.clock += redeploys.REMEMBERED_SECONDS + 1
        return [outcome(first, 202), outcome(await client.deliver(sample(PUSH)), 202)]

    world = World()
    assert world.run(talk) == ["started", "known"]
    assert len(world.keys) == 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redeploys, "MOST_REMEMBERED", 2)

    async def talk(client: Client) -> None:
        for moment in (1, 2, 3, 3, 1):
            await client.deliver(sample("push-artifact-tagged-default", occur_at=moment))

    world = World()
    world.run(talk)
    assert len(world.reads) == 4


def test_there_is_an_end_to_what_is_worked_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redeploys, "MOST_WAITING", 3)

    async def talk(client: Client) -> list[int]:
        events = [sample("push-artifact-tagged-default", occur_at=moment) for moment in range(5)]
        return [answer.status_code for answer in await asyncio.gather(*map(client.deliver, events))]

    world = World(seconds=0.1)
    assert sorted(world.run(talk)) == [202, 202, 202, 503, 503]


def test_two_hubs_of_one_tag_get_a_run_each_and_the_one_that_failed_gets_it_the_next_time() -> None:
    async def talk(client: Client) -> list[httpx.Response]:
        first = await client.deliver(sample(PUSH))
        world.start_errors.clear()
        return [first, await client.deliver(sample(PUSH))]

    world = World([hub(), hub("other")], start_errors={"other": DOWN})
    first, second = world.run(talk)
    assert outcome(first, 503) == "unavailable"
    assert int(first.headers["Retry-After"]) > 0
    assert first.json()["hubs"] == {"lab": "started", "other": "unavailable"}
    assert second.json() == {
        "outcome": "started", "hubs": {"lab": "repeated", "other": "started"}, "reason": second.json()["reason"],
    }  # fmt: skip
    assert sorted(world.reads) == ["lab", "other", "other"]


@pytest.mark.parametrize(("error", "status", "ends"), [(DOWN, 503, "unavailable"), (MISSING, 500, "failed")])
def test_what_stands_in_the_way_is_logged_and_not_told(
    error: Exception, status: int, ends: str, caplog: pytest.LogCaptureFixture
) -> None:
    for world in (World(read_error=error), World(start_errors={"lab": error})):
        with caplog.at_level(logging.INFO):
            answer = world.deliver(sample(PUSH))
        assert outcome(answer, status) == ends
        assert answer.json()["reason"] == "see the receiver's log"
        assert str(error) in caplog.text


def test_work_that_takes_longer_than_harbor_waits_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "ANSWER_SECONDS", 0.05)

    async def talk(client: Client) -> list[httpx.Response]:
        first = await client.deliver(sample(PUSH))
        monkeypatch.setattr(app, "ANSWER_SECONDS", 30.0)
        return [first, *[await client.deliver(sample(PUSH)) for _ in range(2)]]

    world = World(seconds=0.2)
    first, second, third = world.run(talk)
    assert outcome(first, 503) == "late"
    assert "Retry-After" in first.headers
    assert outcome(second, 202) == "started"  # it waits for the work that went on
    assert outcome(third, 202) == "repeated"
    assert (len(world.reads), len(world.keys)) == (1, 1)


def test_the_end_waits_for_what_is_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "ANSWER_SECONDS", 0.0)
    world = World(seconds=0.2)
    assert outcome(world.deliver(sample(PUSH)), 503) == "late"
    assert len(world.keys) == 1


def test_neither_body_nor_secret_is_logged_and_each_delivery_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "deployments.receiver.app"):
        World().deliver(sample(PUSH, operator="marker-of-the-body"))
        World().deliver(sample(PUSH), token="Bearer marker-of-a-forgery")
    lines = [one.getMessage() for one in caplog.records if one.name == "deployments.receiver.app"]
    assert [line.partition(":")[0] for line in lines] == ["started", "unauthorized"]
    assert "lab started" in lines[0]
    assert "push of iav/base-notebook:v1" in lines[0]
    assert not any(secret in caplog.text for secret in ("marker", "first-secret"))


def test_health_readiness_and_metrics() -> None:
    async def talk(client: Client) -> list[httpx.Response]:
        await client.deliver(sample(PUSH))
        await client.deliver(sample(PUSH), token="wrong")
        paths = ("/healthz", "/readyz", "/readyz", "/metrics")
        answers = [await client.http.get(path) for path in paths]
        world.prefect, world.clock = "Prefect does not answer", world.clock + 10
        return [*answers, await client.http.get("/readyz")]

    world = World()
    health, ready, again, metrics, not_ready = world.run(talk)
    assert [one.status_code for one in (health, ready, again, metrics, not_ready)] == [200, 200, 200, 200, 503]
    assert "does not answer" in not_ready.text
    assert world.pings == 2
    assert 'hubwright_receiver_deliveries_total{outcome="started"} 1.0' in metrics.text
    assert 'hubwright_receiver_deliveries_total{outcome="unauthorized"} 1.0' in metrics.text
    assert 'hubwright_receiver_runs_started_total{hub="lab"} 1.0' in metrics.text
    assert "hubwright_receiver_delivery_seconds_count 2.0" in metrics.text


def test_what_is_sent_makes_no_label_of_its_own() -> None:
    world = World()
    before = world.metrics.text().count(b"\n")
    for kind in range(20):
        world.deliver(sample(PUSH, type=f"made.up.{kind}"))
    assert world.metrics.text().count(b"\n") == before
