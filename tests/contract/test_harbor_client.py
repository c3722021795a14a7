"""The client of Harbor against the stand-in: each exchange is held against Harbor's own description."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from config.registry import Severity
from config.spec import Hub
from deployments.receiver.app import MEDIA
from deployments.receiver.events import Event, parse_event
from deployments.receiver.events import Kind as EventKind
from tasks.core.errors import Conflict, HubError, Permanent, Transient
from tasks.core.login import Login
from tasks.registry.client import Harbor
from tasks.registry.following import Followed, follows, read_followed, redeploy_key, why_not
from tasks.registry.plan import wanted_robot
from tasks.registry.policies import immutable_rule, retention, webhook
from tasks.registry.refusal import Forbidden, NotFound, Unmet
from tasks.registry.state import ACCESS, Kind, Place, SeenHarbor, SeenProject, Vulnerability, place_of
from tests.contract.conftest import PASSWORD, StandIn
from tests.contract.registries import push
from tests.harbors import hub_with

USER = "hubwright"
SECRET = SecretStr("Bearer marker-of-the-webhook")


@pytest.fixture
def hub() -> Hub:
    return hub_with(webhook={"url": "https://hooks.example.internal/harbor", "authorization": {"env": "NONE"}})


@pytest.fixture
def client(harbor: StandIn, hub: Hub) -> Harbor:
    return Harbor(harbor.user(USER), place_of(hub), USER)


def robot_client(harbor: StandIn, hub: Hub, credential: Login) -> Harbor:
    http = harbor.client(credential.user, credential.secret.get_secret_value())
    return Harbor(http, place_of(hub), credential.user)


def project(client: Harbor) -> SeenProject:
    client.create_project()
    found = client.read_project()
    assert found
    return found


def pushed(harbor: StandIn, tag: str = "v1", layer: bytes = b"one") -> str:
    answer = push(harbor.admin, "iav/tools/base-notebook", tag, layer)
    assert answer.status_code == 201, answer.text
    return answer.headers["Docker-Content-Digest"]


def results(harbor: StandIn, *vulnerabilities: dict[str, Any]) -> None:
    (harbor.results / "default.json").write_text(json.dumps({"vulnerabilities": vulnerabilities}))


def ended(client: Harbor, digest: str, status: str) -> Callable[[], str]:
    def missing() -> str:
        found = client.read_artifact(digest)
        assert found
        return "" if found.scan == status else found.scan or "not begun"

    return missing


def test_a_project_is_not_there_then_ours_and_private_and_made_once(harbor: StandIn, client: Harbor) -> None:
    assert client.read_project() is None  # Harbor says 403 to who is no administrator
    found = project(client)
    assert (found.role, found.retention_id) == (1, None)
    assert harbor.admin.get("/api/v2.0/projects/iav").json()["metadata"]["public"] == "false"
    with pytest.raises(Conflict, match="409 CONFLICT The project named iav already exists"):
        client.create_project()


def test_a_project_of_others_is_forbidden_and_not_missing(harbor: StandIn, client: Harbor) -> None:
    harbor.project("iav")
    with pytest.raises(Forbidden, match="make hubwright an administrator of the project"):
        client.read_project()
    with pytest.raises(Forbidden):
        client.read_artifact("v1")


def test_the_role_of_a_member_is_told(harbor: StandIn, client: Harbor) -> None:
    harbor.project("iav")
    body = {"role_id": 2, "member_user": {"username": USER}}
    assert harbor.admin.post("/api/v2.0/projects/iav/members", json=body).is_success
    found = client.read_project()
    assert found
    assert found.role == 2
    with pytest.raises(Forbidden):
        client.create_immutable_rule({})


def test_a_project_whose_name_is_a_number_is_found_by_its_name(harbor: StandIn) -> None:
    http = harbor.user(USER)
    for name in ("2", "1"):  # the first one's name is the second one's id
        Harbor(http, Place("r", name, "x"), USER).create_project()
    ids = [Harbor(http, Place("r", name, "x"), USER).read_project() for name in ("2", "1")]
    assert [one.id for one in ids if one] == [1, 2]


@pytest.mark.parametrize("kind", Kind)
def test_a_robot_is_made_with_its_rights_listed_and_deleted(hub: Hub, client: Harbor, kind: Kind) -> None:
    found = project(client)
    credential = client.create_robot(wanted_robot(hub, kind))
    assert credential.user == f"robot$iav+{hub.name}-{kind}"
    assert credential.secret.get_secret_value() not in repr(credential)
    [robot] = client.list_robots(found.id)
    assert (robot.name, robot.access, robot.disabled, robot.duration) == (credential.user, ACCESS[kind], False, 90)
    assert abs(robot.expires_at - time.time() - 90 * 86400) < 60
    assert client.read_login(credential)
    assert not client.read_login(Login(credential.user, SecretStr("wrong")))
    with pytest.raises(Conflict):
        client.create_robot(wanted_robot(hub, kind))
    client.delete_robot(robot)
    assert client.list_robots(found.id) == ()
    assert not client.read_login(credential)


def test_a_robot_that_is_updated_keeps_its_secret_and_has_other_rights(
    harbor: StandIn, hub: Hub, client: Harbor
) -> None:
    found = project(client)
    fields = wanted_robot(hub, Kind.BUILD)
    more = [{"resource": "artifact", "action": "delete"}]
    wide = {**fields, "permissions": [{**fields["permissions"][0], "access": more}], "duration": 30}
    credential = client.create_robot(wide)
    [robot] = client.list_robots(found.id)
    client.update_robot(robot, fields)
    [robot] = client.list_robots(found.id)
    assert (robot.access, robot.duration) == (ACCESS[Kind.BUILD], 90)
    assert client.read_login(credential)
    digest = pushed(harbor)
    build = robot_client(harbor, hub, credential)
    build.create_tag(digest, "release-1")
    assert build.read_artifact("release-1") == build.read_artifact(digest)
    with pytest.raises(Forbidden, match=r"deploy the hub, so that the robot robot\$iav\+"):
        build.delete_robot(robot)


def test_robots_are_listed_to_the_last_page(client: Harbor, hub: Hub) -> None:
    found = project(client)
    for number in range(101):
        client.create_robot({**wanted_robot(hub, Kind.PULL), "name": f"r{number}"})
    assert len({robot.id for robot in client.list_robots(found.id)}) == 101


def seen_with(client: Harbor, **more: Any) -> SeenHarbor:
    found = client.read_project()
    assert found
    policy = client.read_retention(found.retention_id) if found.retention_id else None
    return SeenHarbor(
        False, True, project=found, retention=policy, immutable_rules=client.list_immutable_rules(),
        policies=client.list_policies(), **more,
    )  # fmt: skip


def test_what_is_wanted_of_retention_is_what_harbor_shows_afterwards(client: Harbor, hub: Hub) -> None:
    project(client)
    first = retention(hub, seen_with(client))
    assert first.wanted
    client.create_retention(first.wanted)
    assert retention(hub, seen_with(client)).plan.empty
    fewer = hub_with(retention={"newest": 3, "schedule": "0 30 1 * * *"})
    changed = retention(fewer, seen_with(client))
    assert len(list(changed.plan)) == 2
    assert changed.wanted
    assert changed.id
    client.update_retention(changed.id, changed.wanted)
    assert retention(fewer, seen_with(client)).plan.empty
    with pytest.raises(Permanent, match=r"400 BAD_REQUEST.*already has retention policy"):
        client.create_retention(first.wanted)


def test_what_is_wanted_of_immutable_tags_is_what_harbor_shows_afterwards(client: Harbor, hub: Hub) -> None:
    project(client)
    first = immutable_rule(hub, seen_with(client))
    assert first.wanted
    client.create_immutable_rule(first.wanted)
    assert immutable_rule(hub, seen_with(client)).plan.empty
    [rule] = client.list_immutable_rules()
    client.update_immutable_rule({**rule, "disabled": True})
    again = immutable_rule(hub, seen_with(client))
    assert [str(change) for change in again.plan] == [
        "update Immutable tags release-* of tools/base-notebook: disabled -> enabled"
    ]
    assert again.wanted
    client.update_immutable_rule(again.wanted)
    assert immutable_rule(hub, seen_with(client)).plan.empty


def test_what_is_wanted_of_the_webhook_is_what_harbor_shows_afterwards(client: Harbor, hub: Hub) -> None:
    project(client)
    first = webhook(hub, seen_with(client), SECRET)
    assert first.wanted
    client.create_policy(first.wanted)
    seen = seen_with(client)
    assert webhook(hub, seen, SECRET).plan.empty
    assert "marker" not in repr(seen)
    other = webhook(hub, seen, SecretStr("Bearer other"))
    assert [str(change) for change in other.plan] == [
        f"update Webhook hubwright-{hub.name} authorization: (hidden) -> (hidden)"
    ]
    assert other.wanted
    assert other.id
    client.update_policy(other.id, other.wanted)
    assert webhook(hub, seen_with(client), SecretStr("Bearer other")).plan.empty
    with pytest.raises(Conflict):
        client.create_policy(first.wanted)
    client.delete_policy(other.id)
    assert client.list_policies() == ()


def test_an_image_is_found_by_tag_and_digest_and_a_tag_is_not_moved(harbor: StandIn, client: Harbor) -> None:
    assert client.read_artifact("v1") is None  # no project yet
    project(client)
    assert client.read_artifact("v1") is None
    one, two = pushed(harbor), pushed(harbor, "v2", b"two")
    found = client.read_artifact("v1")
    assert found == client.read_artifact(one)
    assert found
    assert (found.digest, {*found.tags}, found.scan) == (one, {"v1"}, "")
    client.create_tag(one, "release-1")
    found = client.read_artifact(one)
    assert found
    assert {*found.tags} == {"v1", "release-1"}
    with pytest.raises(Conflict):
        client.create_tag(two, "release-1")


def test_a_tag_that_goes_there_and_back_is_followed_three_times(harbor: StandIn, hub: Hub, client: Harbor) -> None:
    project(client)
    assert read_followed(hub, client) is None
    seen: list[Followed] = []
    for layer in (b"one", b"one", b"two", b"one"):
        digest = pushed(harbor, layer=layer)
        time.sleep(0.005)  # Harbor tells of milliseconds
        followed = read_followed(hub, client)
        assert followed
        assert followed.digest == digest
        seen.append(followed)
    keys = [redeploy_key(hub, one) for one in seen]
    assert keys[0] == keys[1]
    assert len({*keys}) == 3


def test_what_a_scan_found_is_followed_too(harbor: StandIn, client: Harbor) -> None:
    webhook = {"url": "https://h.example.internal/harbor", "authorization": {"env": "NONE"}, "deploy_on": "scan"}
    hub = hub_with(webhook=webhook)
    project(client)
    results(harbor, {"id": "CVE-1", "package": "p", "version": "1", "severity": "Critical", "description": ""})
    digest = pushed(harbor)
    followed = read_followed(hub, client)
    assert followed
    assert "none was begun" in why_not(hub, followed, datetime.now(UTC).date())
    client.start_scan(digest)
    harbor.wait(ended(client, digest, "Success"))
    followed = read_followed(hub, client)
    assert followed
    assert "CVE-1 in p" in why_not(hub, followed, datetime.now(UTC).date())


@pytest.mark.parametrize("payload_format", ["Default", "CloudEvents"])
def test_what_harbor_sends_is_what_the_receiver_takes(harbor: StandIn, client: Harbor, payload_format: str) -> None:
    part = {"url": "https://h.example.internal/harbor", "authorization": {"env": "NONE"}}
    hub = hub_with(webhook={**part, "payload_format": payload_format})
    found = SeenHarbor(False, True, project=project(client))
    wanted = webhook(hub, found, SECRET).wanted
    assert wanted
    client.create_policy(wanted)
    digest = pushed(harbor)
    harbor.wait(lambda: "" if harbor.receiver.received else "nothing came")
    [request] = harbor.receiver.received
    assert request.headers["authorization"] == SECRET.get_secret_value()
    assert request.headers["content-type"] in MEDIA
    event = parse_event(request.content)
    assert isinstance(event, Event)
    assert (event.kind, event.digest) == (EventKind.PUSHED, digest)
    assert follows(hub, event.repository, event.tag)


def test_a_scan_is_followed_to_what_it_found(harbor: StandIn, client: Harbor) -> None:
    project(client)
    digest = pushed(harbor)
    results(
        harbor,
        {"id": "CVE-1", "severity": "High", "package": "zlib", "version": "1", "fix_version": "2", "links": ["u"]},
        {"id": "CVE-2", "severity": "Unknown", "package": "curl", "version": "8"},
    )
    client.start_scan(digest)
    with pytest.raises(Conflict, match="a previous scan process is running"):
        client.start_scan(digest)
    harbor.wait(ended(client, digest, "Success"))
    assert client.read_vulnerabilities(digest) == (
        Vulnerability("CVE-1", Severity.HIGH, "zlib", "1", "2", "u"),
        Vulnerability("CVE-2", Severity.UNKNOWN, "curl", "8", "", ""),
    )
    before = client.read_artifact(digest)
    assert before
    harbor.set(scan_ends="Error")
    client.start_scan(digest)
    harbor.wait(ended(client, digest, "Error"))
    after = client.read_artifact(digest)
    assert after
    assert before.report != after.report
    assert client.read_vulnerabilities(digest) == ()


def test_that_there_is_no_scanner_is_told_beforehand_and_when_one_scans(harbor: StandIn, client: Harbor) -> None:
    project(client)
    assert client.read_scanner()
    harbor.set(scanner=False)
    assert not client.read_scanner()
    with pytest.raises(Unmet, match="412 PRECONDITION no available scanner"):
        client.start_scan(pushed(harbor))
    with pytest.raises(NotFound):
        client.start_scan("sha256:" + "0" * 64)


def test_a_wrong_password_is_told_as_one(harbor: StandIn, hub: Hub) -> None:
    stranger = Harbor(harbor.client(USER, "wrong"), place_of(hub), USER)
    assert "read_only" not in stranger.read_system()
    with pytest.raises(Permanent, match=r"401 UNAUTHORIZED unauthorized\n.*check registry.harbor.user"):
        stranger.read_project()


def test_read_only_mode_and_a_full_project_are_told_as_such(harbor: StandIn, client: Harbor) -> None:
    project(client)
    harbor.set(read_only=True)
    assert client.read_system()["read_only"] is True
    with pytest.raises(Permanent, match="have Harbor's administrator end its read-only mode") as told:
        client.create_immutable_rule({})
    assert not isinstance(told.value, Forbidden)


def test_a_fence_that_was_lost_stops_each_write_before_it_is_asked(harbor: StandIn, hub: Hub) -> None:
    def lost() -> None:
        raise Permanent("fence", "hold it", "lost", "run again")

    client = Harbor(harbor.user(USER), place_of(hub), USER, lost)
    writes: list[Callable[[], object]] = [
        client.create_project, lambda: client.create_robot({}), lambda: client.create_retention({}),
        lambda: client.update_retention(1, {}), lambda: client.create_immutable_rule({}),
        lambda: client.update_immutable_rule({"id": 1}), lambda: client.create_policy({}),
        lambda: client.update_policy(1, {}), lambda: client.delete_policy(1), lambda: client.create_tag("x", "y"),
        lambda: client.start_scan("x"),
    ]  # fmt: skip
    since = time.time()
    for write in writes:
        with pytest.raises(Permanent, match="lost"):
            write()
    assert harbor.admin.get("/test/requests", params={"since": since}).json() == []


@pytest.mark.parametrize(("status", "kind"), [(500, Transient), (502, Transient), (503, Transient), (429, Transient)])
def test_a_harbor_in_trouble_may_be_asked_again(harbor: StandIn, hub: Hub, status: int, kind: type[HubError]) -> None:
    with httpx.Client(base_url=harbor.url, auth=("admin", PASSWORD), trust_env=False) as plain:
        fault = {"path": "/projects/iav", "status": status, "headers": {"Retry-After": "7"}}
        assert harbor.admin.post("/test/faults", json=fault).is_success
        with pytest.raises(kind, match=str(status)) as told:
            Harbor(plain, place_of(hub), "admin").read_project()
        assert isinstance(told.value, Transient)
        assert told.value.retry_after == 7
        cut = {"path": "/projects/iav", "cut": True, "status": 0}
        assert harbor.admin.post("/test/faults", json=cut).is_success
        with pytest.raises(Transient, match="cannot be reached"):
            Harbor(plain, place_of(hub), "admin").read_project()
