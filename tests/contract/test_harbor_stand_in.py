"""Harbor's stand-in says and refuses what Harbor does: each exchange is held against Harbor's own description."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.sandbox.harbor.payloads import CLOUD_EVENTS
from tests.contract.conftest import API, PASSWORD, StandIn
from tests.contract.harbor_contract import contract
from tests.contract.registries import CONFIG, digest_of, push

FIXTURES = Path(__file__).parents[2].parent / "shared" / "data" / "harbor-webhooks"
IMAGE = f"{API}/projects/iav/repositories/base-notebook/artifacts"
POLICIES = f"{API}/projects/iav/webhook/policies"
RULES = f"{API}/projects/iav/immutabletagrules"
PUSHER = ("repository:push", "artifact:read", "scan:create", "scan:stop", "tag:create", "artifact-addition:read")
MIME = "application/vnd.security.vulnerability.report; version=1.1"
SBOM = "application/vnd.goharbor.harbor.sbom.v1"


def refused(answer: httpx.Response, status: int, code: str) -> str:
    """It was refused so; returns Harbor's words."""
    assert answer.status_code == status, answer.text
    [error] = answer.json()["errors"]
    assert error["code"] == code
    return error["message"]


def pushed(harbor: StandIn, tag: str = "v1", layer: bytes = b"one") -> str:
    """The administrator's image is there; returns its digest."""
    answer = push(harbor.admin, "iav/base-notebook", tag, layer)
    assert answer.status_code == 201, answer.text
    return answer.headers["Docker-Content-Digest"]


def selector(pattern: str, decoration: str) -> dict[str, str]:
    return {"kind": "doublestar", "decoration": decoration, "pattern": pattern}


def rule(template: str, tags: str, **more: Any) -> dict[str, Any]:
    scopes = {"repository": [selector("**", "repoMatches")]}
    return {"template": template, "tag_selectors": [selector(tags, "matches")], "scope_selectors": scopes, **more}


def test_anybody_may_ask_how_it_is(harbor: StandIn) -> None:
    nobody = harbor.client()
    assert nobody.get(f"{API}/ping").text == "Pong"
    assert nobody.get(f"{API}/health").json()["status"] == "healthy"
    assert "harbor_version" not in nobody.get(f"{API}/systeminfo").json()
    assert harbor.admin.get(f"{API}/systeminfo").json()["harbor_version"].startswith("v2.15")


def test_the_contract_notices_what_is_not_in_it(harbor: StandIn) -> None:
    nobody = httpx.Client(base_url=harbor.url, trust_env=False)
    assert contract().faults(nobody.get(f"{API}/health?colour=red"))
    assert contract().faults(nobody.get(f"{API}/no-such-path"))
    answer = nobody.get(f"{API}/health")
    other = httpx.Response(200, json={"status": "healthy", "mood": "good"}, request=answer.request)
    assert contract().faults(other)
    assert contract().faults(answer) == []


def test_a_request_keeps_its_id_and_a_session_is_asked_for_a_token(harbor: StandIn) -> None:
    answer = harbor.client().get(f"{API}/ping", headers={"X-Request-Id": "mine"})
    assert answer.headers["X-Request-Id"] == "mine"
    sid = answer.headers["Set-Cookie"].partition(";")[0]
    body = {"project_name": "iav"}
    refused(harbor.admin.post(f"{API}/projects", json=body, headers={"Cookie": sid}), 403, "FORBIDDEN")


def test_a_project_is_made_once_and_read_by_name_and_number(harbor: StandIn) -> None:
    number = harbor.project("iav", metadata={"auto_scan": "false"}, storage_limit=1000)
    refused(harbor.admin.post(f"{API}/projects", json={"project_name": "iav"}), 409, "CONFLICT")
    by_name = harbor.admin.get(f"{API}/projects/iav").json()
    assert by_name == harbor.admin.get(f"{API}/projects/{number}").json()
    assert by_name["metadata"] == {"auto_scan": "false", "public": "false"}
    assert harbor.admin.head(f"{API}/projects", params={"project_name": "iav"}).status_code == 200
    assert harbor.admin.head(f"{API}/projects", params={"project_name": "other"}).status_code == 404
    bad = {"project_name": "Not a name"}
    refused(harbor.admin.post(f"{API}/projects", json=bad), 400, "BAD_REQUEST")
    assert harbor.admin.put(f"{API}/projects/iav", json={"metadata": {"auto_scan": "true"}}).status_code == 200
    assert harbor.admin.get(f"{API}/projects/iav").json()["metadata"]["auto_scan"] == "true"


def test_what_somebody_may_not_see_is_forbidden_and_not_missing(harbor: StandIn) -> None:
    harbor.project("iav")
    stranger = harbor.user("stranger")
    refused(stranger.get(f"{API}/projects/iav"), 403, "FORBIDDEN")
    refused(stranger.get(f"{API}/projects/no-such"), 403, "FORBIDDEN")
    refused(harbor.client().get(f"{API}/projects/no-such"), 401, "UNAUTHORIZED")
    refused(harbor.client("admin", "wrong").get(f"{API}/projects/iav"), 401, "UNAUTHORIZED")
    refused(harbor.admin.get(f"{API}/projects/no-such"), 404, "NOT_FOUND")
    assert stranger.get(f"{API}/projects").json() == []


def test_whoever_makes_a_project_administers_it_and_sets_no_quota(harbor: StandIn) -> None:
    person = harbor.user("person")
    made = person.post(f"{API}/projects", json={"project_name": "mine", "storage_limit": 10})
    assert made.status_code == 201
    assert person.get(f"{API}/robots?q=Level=project,ProjectID=1").status_code == 200
    refused(person.get(f"{API}/quotas"), 403, "FORBIDDEN")
    [quota] = harbor.admin.get(f"{API}/quotas", params={"reference": "project", "reference_id": "1"}).json()
    assert quota["hard"] == {"storage": -1}
    harbor.set(creation="adminonly")
    refused(person.post(f"{API}/projects", json={"project_name": "more"}), 403, "FORBIDDEN")


def test_a_project_with_repositories_is_not_deleted(harbor: StandIn) -> None:
    harbor.project("iav")
    pushed(harbor)
    refused(harbor.admin.delete(f"{API}/projects/iav"), 412, "PRECONDITION")
    assert harbor.admin.delete(f"{API}/projects/iav/repositories/base-notebook").status_code == 200
    assert harbor.admin.delete(f"{API}/projects/iav").status_code == 200


def test_lists_come_page_by_page(harbor: StandIn) -> None:
    for place in range(12):
        harbor.project(f"p{place}")
    first = harbor.admin.get(f"{API}/projects?name=p")
    assert len(first.json()) == 10
    assert first.headers["X-Total-Count"] == "12"
    assert first.headers["Link"] == f'<{API}/projects?name=p&page=2&page_size=10>; rel="next"'
    second = harbor.admin.get(f"{API}/projects?name=p&page=2")
    assert len(second.json()) == 2
    assert 'rel="prev"' in second.headers["Link"]
    refused(httpx.get(f"{harbor.url}{API}/projects?page_size=101"), 422, "UNPROCESSABLE_ENTITY")
    refused(harbor.admin.get(f"{API}/robots?q=Level"), 400, "BAD_REQUEST")


def test_a_robot_does_what_it_was_given_and_no_more(harbor: StandIn) -> None:
    harbor.project("iav")
    key, robot = harbor.robot("iav", *PUSHER)
    assert push(robot, "iav/base-notebook", "v1", b"one").status_code == 201
    assert robot.get(f"{IMAGE}/v1").status_code == 200
    refused(robot.delete(f"{IMAGE}/v1"), 403, "FORBIDDEN")
    refused(robot.patch(f"{API}/robots/{key}", json={"secret": ""}), 403, "FORBIDDEN")
    refused(robot.post(f"{API}/projects", json={"project_name": "more"}), 403, "FORBIDDEN")
    _reader_key, reader = harbor.robot("iav", "repository:pull")
    message = refused(push(reader, "iav/base-notebook", "v2", b"two"), 401, "UNAUTHORIZED")
    assert message == "unauthorized to access repository: iav/base-notebook, action: push"


@pytest.mark.parametrize("change", [
    {"name": "Not a name"}, {"duration": 0}, {"duration": None}, {"level": "galaxy"}, {"permissions": []},
    {"permissions": [{"kind": "project", "namespace": "iav", "access": [{"resource": "robot", "action": "update"}]}]},
])  # fmt: skip
def test_a_robot_that_harbor_would_not_make_is_refused(harbor: StandIn, change: dict[str, Any]) -> None:
    harbor.project("iav")
    access = [{"resource": "repository", "action": "pull"}]
    permissions = [{"kind": "project", "namespace": "iav", "access": access}]
    body = {"name": "reader", "level": "project", "duration": 1, "permissions": permissions, **change}
    refused(harbor.admin.post(f"{API}/robots", json=body), 400, "BAD_REQUEST")


def test_a_robot_is_listed_replaced_and_given_a_new_secret(harbor: StandIn) -> None:
    number = harbor.project("iav")
    key, robot = harbor.robot("iav", "repository:pull", "artifact:read")
    [listed] = harbor.admin.get(f"{API}/robots", params={"q": f"Level=project,ProjectID={number}"}).json()
    assert listed == harbor.admin.get(f"{API}/robots/{key}").json()
    assert "secret" not in listed
    assert harbor.admin.get(f"{API}/robots").json() == []
    body = {**listed, "duration": 60, "disable": True}
    assert harbor.admin.put(f"{API}/robots/{key}", json=body).status_code == 200
    assert harbor.admin.get(f"{API}/robots/{key}").json()["expires_at"] == listed["expires_at"] + 30 * 86400
    refused(robot.get(f"{IMAGE}/v1"), 401, "UNAUTHORIZED")
    assert harbor.admin.put(f"{API}/robots/{key}", json={**body, "disable": False}).status_code == 200
    refused(harbor.admin.put(f"{API}/robots/{key}", json={**body, "name": "other"}), 400, "BAD_REQUEST")
    fresh = harbor.admin.patch(f"{API}/robots/{key}", json={"secret": ""}).json()["secret"]
    refused(robot.get(f"{IMAGE}/v1"), 401, "UNAUTHORIZED")
    refused(harbor.client(listed["name"], fresh).get(f"{IMAGE}/v1"), 404, "NOT_FOUND")
    refused(harbor.admin.patch(f"{API}/robots/{key}", json={"secret": "short"}), 400, "BAD_REQUEST")
    assert harbor.admin.delete(f"{API}/robots/{key}").status_code == 200
    refused(harbor.admin.get(f"{API}/robots/{key}"), 404, "NOT_FOUND")


def test_a_robot_whose_name_is_taken_conflicts_and_an_expired_one_is_nobody(harbor: StandIn) -> None:
    harbor.project("iav")
    key, robot = harbor.robot("iav", "repository:pull")
    seen = harbor.admin.get(f"{API}/robots/{key}").json()
    name = seen["name"].rpartition("+")[2]
    body = {"name": name, "level": "project", "duration": 1, "permissions": seen["permissions"]}
    refused(harbor.admin.post(f"{API}/robots", json=body), 409, "CONFLICT")
    assert robot.get("/v2/").status_code == 200
    assert harbor.admin.post(f"/test/robots/{key}/expire").is_success
    assert robot.get("/v2/").status_code == 401


def test_a_client_without_a_name_is_sent_for_a_token_that_grants_what_may_be(harbor: StandIn) -> None:
    harbor.project("iav")
    _key, robot = harbor.robot("iav", "repository:push")
    nobody = harbor.client()
    challenge = nobody.get("/v2/iav/base-notebook/manifests/v1").headers["Www-Authenticate"]
    realm = f"{harbor.url}/service/token"
    assert challenge == f'Bearer realm="{realm}",service="harbor-registry",scope="repository:iav/base-notebook:pull"'
    asked = {"service": "harbor-registry", "scope": "repository:iav/base-notebook:pull,push"}
    token = {"Authorization": f"Bearer {robot.get(realm, params=asked).json()['token']}"}
    assert nobody.post("/v2/iav/base-notebook/blobs/uploads/", headers=token).status_code == 202
    assert nobody.post("/v2/other/base-notebook/blobs/uploads/", headers=token).status_code == 401
    weak = {"Authorization": f"Bearer {nobody.get(realm, params=asked).json()['token']}"}
    assert nobody.post("/v2/iav/base-notebook/blobs/uploads/", headers=weak).status_code == 401
    harbor.set(token_seconds=-1)
    assert nobody.post("/v2/iav/base-notebook/blobs/uploads/", headers=token).status_code == 401
    assert nobody.get(realm, params={"service": "harbor-registry"}).status_code == 401
    assert nobody.get(realm, params={"service": "other"}).status_code == 400


def test_anybody_pulls_from_a_public_project_and_only_from_one(harbor: StandIn) -> None:
    harbor.project("iav", metadata={"public": "true"})
    digest = pushed(harbor)
    token = harbor.client().get("/service/token?service=harbor-registry&scope=repository:iav/base-notebook:pull").json()
    headers = {"Authorization": f"Bearer {token['token']}"}
    pulled = harbor.client().get("/v2/iav/base-notebook/manifests/v1", headers=headers)
    assert digest_of(pulled.content) == digest == pulled.headers["Docker-Content-Digest"]
    assert harbor.admin.put(f"{API}/projects/iav", json={"metadata": {"public": "false"}}).is_success
    token = harbor.client().get("/service/token?service=harbor-registry&scope=repository:iav/base-notebook:pull").json()
    headers = {"Authorization": f"Bearer {token['token']}"}
    assert harbor.client().get("/v2/iav/base-notebook/manifests/v1", headers=headers).status_code == 401


def test_an_image_is_read_by_tag_and_by_digest(harbor: StandIn) -> None:
    harbor.project("iav")
    digest = pushed(harbor)
    seen = harbor.admin.get(f"{IMAGE}/v1").json()
    assert seen == harbor.admin.get(f"{IMAGE}/{digest}").json()
    assert seen["extra_attrs"]["config"]["Labels"] == {"made": "one"}
    assert [tag["name"] for tag in seen["tags"]] == ["v1"]
    assert seen["labels"] is seen["references"] is None
    assert "scan_overview" not in harbor.admin.get(f"{IMAGE}/v1?with_scan_overview=true").json()
    message = refused(harbor.admin.get(f"{IMAGE}/v2"), 404, "NOT_FOUND")
    assert message == "artifact iav/base-notebook:v2 not found"
    [listed] = harbor.admin.get(IMAGE).json()
    assert listed["digest"] == digest


def test_a_repository_whose_name_has_a_slash_is_escaped_twice(harbor: StandIn) -> None:
    harbor.project("iav")
    push(harbor.admin, "iav/a/b", "v1", b"one")
    assert harbor.admin.get(f"{API}/projects/iav/repositories/a%252Fb/artifacts/v1").status_code == 200
    assert [row["name"] for row in harbor.admin.get(f"{API}/projects/iav/repositories").json()] == ["iav/a/b"]


def test_a_push_moves_a_tag_and_the_api_does_not(harbor: StandIn) -> None:
    harbor.project("iav")
    one, two = pushed(harbor, layer=b"one"), pushed(harbor, layer=b"two")
    assert harbor.admin.get(f"{IMAGE}/v1").json()["digest"] == two
    assert harbor.admin.get(f"{IMAGE}/{one}").json()["tags"] is None
    assert harbor.admin.post(f"{IMAGE}/{one}/tags", json={"name": "kept"}).status_code == 201
    refused(harbor.admin.post(f"{IMAGE}/{one}/tags", json={"name": "v1"}), 409, "CONFLICT")
    refused(harbor.admin.post(f"{IMAGE}/{one}/tags", json={"name": "not a tag"}), 400, "BAD_REQUEST")
    assert [tag["name"] for tag in harbor.admin.get(f"{IMAGE}/{one}/tags").json()] == ["kept"]
    assert harbor.admin.delete(f"{IMAGE}/{one}/tags/kept").status_code == 200
    refused(harbor.admin.delete("/v2/iav/base-notebook/manifests/v1"), 400, "UNSUPPORTED")
    assert harbor.admin.delete(f"/v2/iav/base-notebook/manifests/{two}").status_code == 202
    refused(harbor.admin.get(f"{IMAGE}/v1"), 404, "NOT_FOUND")


def test_the_time_of_a_tag_moves_with_the_tag_and_with_nothing_else(harbor: StandIn) -> None:
    harbor.project("iav")

    def times(tag: str) -> tuple[str, str]:
        seen = harbor.admin.get(f"{IMAGE}/{tag}").json()
        return seen["push_time"], next(row["push_time"] for row in seen["tags"] if row["name"] == tag)

    pushed(harbor, layer=b"one")
    first = times("v1")
    time.sleep(0.005)
    pushed(harbor, layer=b"one")  # it is there already
    assert times("v1") == first
    digest = pushed(harbor, "v2", layer=b"one")
    assert harbor.admin.post(f"{IMAGE}/{digest}/tags", json={"name": "kept"}).status_code == 201
    assert times("v1") == first
    assert times("v2")[1] > first[1]
    pushed(harbor, layer=b"two")
    there = times("v1")
    time.sleep(0.005)
    pushed(harbor, layer=b"one")
    back = times("v1")
    assert first[1] < there[1] < back[1]
    assert back[0] == first[0]  # the image is as old as it was


def test_what_refers_to_an_image_is_its_accessory_and_goes_with_it(harbor: StandIn) -> None:
    harbor.project("iav")
    digest = pushed(harbor)
    subject = {"mediaType": CONFIG, "digest": digest, "size": 1}
    answer = push(harbor.admin, "iav/base-notebook", "", b"sbom", subject=subject, artifactType=SBOM)
    assert answer.headers["OCI-Subject"] == digest
    [accessory] = harbor.admin.get(f"{IMAGE}/v1/accessories").json()
    assert accessory["type"] == "sbom.harbor"
    assert accessory["digest"] == answer.headers["Docker-Content-Digest"]
    [referrer] = harbor.admin.get(f"/v2/iav/base-notebook/referrers/{digest}").json()["manifests"]
    assert referrer["digest"] == accessory["digest"]
    none = harbor.admin.get(f"/v2/iav/base-notebook/referrers/{digest}?artifactType=other").json()
    assert none["manifests"] == []
    assert len(harbor.admin.get(IMAGE).json()) == 1
    assert harbor.admin.delete(f"{IMAGE}/v1").status_code == 200
    refused(harbor.admin.get(f"{IMAGE}/{accessory['digest']}"), 404, "NOT_FOUND")


def test_a_full_quota_denies_the_blob_that_does_not_fit(harbor: StandIn) -> None:
    harbor.project("iav", storage_limit=1500)
    pushed(harbor)
    message = refused(push(harbor.admin, "iav/base-notebook", "v2", b"x" * 2000), 403, "DENIED")
    assert message.startswith("adding 2.0 KiB of storage resource, which when updated to current usage of")
    [quota] = harbor.admin.get(f"{API}/quotas").json()
    assert 0 < quota["used"]["storage"] < 1500
    assert harbor.admin.put(f"{API}/quotas/{quota['id']}", json={"hard": {"storage": 9000}}).status_code == 200
    assert push(harbor.admin, "iav/base-notebook", "v2", b"x" * 2000).status_code == 201


def test_an_immutable_tag_is_neither_pushed_again_nor_deleted(harbor: StandIn) -> None:
    harbor.project("iav")
    body = rule("immutable_template", "inputs-*", action="immutable")
    made = harbor.admin.post(RULES, json=body)
    assert made.status_code == 201
    refused(harbor.admin.post(RULES, json=body), 409, "CONFLICT")
    pushed(harbor, "inputs-1")
    message = refused(push(harbor.admin, "iav/base-notebook", "inputs-1", b"two"), 412, "PRECONDITION")
    assert message == "Failed to process request due to 'base-notebook:inputs-1' configured as immutable."
    refused(harbor.admin.delete(f"{IMAGE}/inputs-1"), 412, "PRECONDITION")
    refused(harbor.admin.delete(f"{IMAGE}/inputs-1/tags/inputs-1"), 412, "PRECONDITION")
    seen = harbor.admin.get(f"{IMAGE}/inputs-1?with_immutable_status=true").json()
    assert seen["tags"][0]["immutable"] is True
    [listed] = harbor.admin.get(RULES).json()
    assert harbor.admin.put(f"{RULES}/{listed['id']}", json={**listed, "disabled": True}).status_code == 200
    assert push(harbor.admin, "iav/base-notebook", "inputs-1", b"two").status_code == 201
    assert harbor.admin.delete(f"{RULES}/{listed['id']}").status_code == 200


def test_retention_deletes_what_no_rule_retains_but_nothing_immutable(harbor: StandIn) -> None:
    number = harbor.project("iav")
    assert harbor.admin.post(RULES, json=rule("immutable_template", "kept", action="immutable")).is_success
    for tag in ("kept", "old", "new"):
        pushed(harbor, tag, tag.encode())
    policy = {
        "algorithm": "or",
        "rules": [rule("latestPushedK", "**", action="retain", params={"latestPushedK": 1})],
        "trigger": {"kind": "Schedule", "settings": {"cron": ""}},
        "scope": {"level": "project", "ref": number},
    }
    made = harbor.admin.post(f"{API}/retentions", json=policy)
    assert made.status_code == 201
    address = f"{API}/retentions/{harbor.admin.get(f'{API}/projects/iav').json()['metadata']['retention_id']}"
    refused(harbor.admin.post(f"{API}/retentions", json=policy), 400, "BAD_REQUEST")
    for dry_run, left in ((True, {"kept", "old", "new"}), (False, {"kept", "new"})):
        assert harbor.admin.post(f"{address}/executions", json={"dry_run": dry_run}).status_code == 201
        harbor.wait(
            lambda: "" if harbor.admin.get(f"{address}/executions").json()[0]["status"] == "Success" else "runs"
        )
        [task] = harbor.admin.get(f"{address}/executions/{1 + (not dry_run)}/tasks").json()
        assert (task["total"], task["retained"]) == (3, 2)
        assert {tag["name"] for image in harbor.admin.get(IMAGE).json() for tag in image["tags"]} == left
    more = {**policy, "rules": [*policy["rules"], rule("always", "v*", action="retain")]}
    assert harbor.admin.put(address, json=more).status_code == 200
    assert len(harbor.admin.get(address).json()["rules"]) == 2
    assert harbor.admin.delete(address).status_code == 200


def scanned(harbor: StandIn, status: str) -> dict[str, Any]:
    """The scan's summary, once it has the status."""

    def summary() -> dict[str, Any]:
        seen = harbor.admin.get(f"{IMAGE}/v1?with_scan_overview=true").json()
        return seen["scan_overview"][MIME]

    harbor.wait(lambda: "" if summary()["scan_status"] == status else summary()["scan_status"])
    return summary()


def test_a_scan_tells_what_its_file_says(harbor: StandIn) -> None:
    harbor.project("iav")
    digest = pushed(harbor)
    found = [
        {"id": "CVE-1", "package": "p", "version": "1", "fix_version": "2", "severity": "High", "description": "d"},
        {"id": "CVE-2", "package": "q", "version": "1", "severity": "Low", "description": "d"},
    ]
    (harbor.results / f"{digest.replace(':', '-')}.json").write_text(json.dumps({"vulnerabilities": found}))
    _key, robot = harbor.robot("iav", *PUSHER)
    assert robot.get(f"{IMAGE}/v1/additions/vulnerabilities").json() == {}
    assert robot.post(f"{IMAGE}/v1/scan").status_code == 202
    summary = scanned(harbor, "Success")
    assert summary["severity"] == "High"
    assert summary["summary"] == {"total": 2, "fixable": 1, "summary": {"High": 1, "Low": 1}}
    report = robot.get(f"{IMAGE}/v1/additions/vulnerabilities").json()[MIME]
    assert report["vulnerabilities"] == found


def test_a_scan_that_runs_conflicts_and_can_be_stopped(harbor: StandIn) -> None:
    harbor.project("iav")
    pushed(harbor)
    refused(harbor.admin.post(f"{IMAGE}/v1/scan/stop", json={"scan_type": "vulnerability"}), 400, "BAD_REQUEST")
    harbor.set(scan_ends="never")
    assert harbor.admin.post(f"{IMAGE}/v1/scan", json={"scan_type": "vulnerability"}).status_code == 202
    assert scanned(harbor, "Running")["summary"] is None
    refused(harbor.admin.post(f"{IMAGE}/v1/scan"), 409, "CONFLICT")
    assert harbor.admin.post(f"{IMAGE}/v1/scan/stop", json={"scan_type": "vulnerability"}).status_code == 202
    assert scanned(harbor, "Stopped")
    harbor.set(scan_ends="Error")
    assert harbor.admin.post(f"{IMAGE}/v1/scan").status_code == 202
    assert scanned(harbor, "Error")


def test_without_a_scanner_nothing_is_scanned(harbor: StandIn) -> None:
    harbor.project("iav")
    pushed(harbor)
    assert harbor.admin.get(f"{API}/projects/iav/scanner").json()["name"] == "Trivy"
    harbor.set(scanner=False)
    assert harbor.admin.get(f"{API}/projects/iav/scanner").json() == {}
    message = refused(harbor.admin.post(f"{IMAGE}/v1/scan"), 412, "PRECONDITION")
    assert message == "no available scanner for project: 1"


def test_a_list_of_parts_becomes_an_accessory(harbor: StandIn) -> None:
    harbor.project("iav")
    pushed(harbor)
    assert harbor.admin.post(f"{IMAGE}/v1/scan", json={"scan_type": "sbom"}).status_code == 202

    def seen() -> dict[str, Any]:
        return harbor.admin.get(f"{IMAGE}/v1?with_sbom_overview=true").json()

    harbor.wait(lambda: "" if seen()["sbom_overview"]["scan_status"] == "Success" else "runs")
    [accessory] = seen()["accessories"]
    assert seen()["sbom_overview"]["sbom_digest"] == accessory["digest"]


def policy_for(*kinds: str, **target: Any) -> dict[str, Any]:
    address = {"type": "http", "address": "http://receiver.example.com/hook", **target}
    return {"name": "rebuild", "enabled": True, "event_types": list(kinds), "targets": [address]}


def delivered(harbor: StandIn, count: int) -> list[httpx.Request]:
    harbor.wait(lambda: "" if len(harbor.receiver.received) >= count else "not all has been delivered")
    return harbor.receiver.received


def test_a_webhook_policy_is_made_read_changed_and_deleted(harbor: StandIn) -> None:
    harbor.project("iav")
    body = policy_for("PUSH_ARTIFACT", auth_header="Bearer secret", skip_cert_verify=False)
    assert harbor.admin.post(POLICIES, json=body).status_code == 201
    refused(harbor.admin.post(POLICIES, json=body), 409, "CONFLICT")
    [listed] = harbor.admin.get(POLICIES).json()
    assert listed["targets"][0]["payload_format"] == "Default"
    assert listed["targets"][0]["auth_header"] == "Bearer secret"
    assert harbor.admin.put(f"{POLICIES}/1", json={**listed, "enabled": False}).status_code == 200
    assert harbor.admin.get(f"{POLICIES}/1").json()["enabled"] is False
    for wrong in (
        {"event_types": []},
        {"event_types": ["NO_SUCH"]},
        {"targets": []},
        policy_for("PUSH_ARTIFACT", type="x"),
    ):
        refused(harbor.admin.post(POLICIES, json={**body, "name": "other", **wrong}), 400, "BAD_REQUEST")
    assert harbor.admin.delete(f"{POLICIES}/1").status_code == 200
    refused(harbor.admin.get(f"{POLICIES}/1"), 404, "NOT_FOUND")


def test_a_delivery_is_tried_three_times_and_its_history_kept(harbor: StandIn) -> None:
    harbor.project("iav")
    assert harbor.admin.post(POLICIES, json=policy_for("PUSH_ARTIFACT", auth_header="Bearer s")).is_success
    harbor.receiver.statuses += [500, 500, 503]
    pushed(harbor)
    assert [request.headers["Authorization"] for request in delivered(harbor, 3)] == ["Bearer s"] * 3

    def last() -> dict[str, Any]:
        return harbor.admin.get(f"{POLICIES}/1/executions").json()[0]

    harbor.wait(lambda: "" if last()["status"] == "Error" else "still tries")
    [task] = harbor.admin.get(f"{POLICIES}/1/executions/{last()['id']}/tasks").json()
    assert (task["status"], task["run_count"]) == ("Error", 3)
    log = harbor.admin.get(f"{POLICIES}/1/executions/{last()['id']}/tasks/{task['id']}/log").text
    assert "response code is 503" in log
    pushed(harbor, layer=b"two")
    harbor.wait(lambda: "" if last()["status"] == "Success" else "still tries")


def shape(document: Any) -> Any:
    """The document with the kind of each value in its place; keys that depend on what was found are left out."""
    if isinstance(document, dict):
        if all(isinstance(value, int) for value in document.values()) and "total" not in document:
            return {} if not set(document) & {"date_created"} else dict.fromkeys(document, "int")
        return {key: shape(value) for key, value in document.items()}
    if isinstance(document, list):
        return [shape(item) for item in document]
    return type(document).__name__


def expected(name: str, form: str) -> Any:
    return shape(json.loads((FIXTURES / f"{name}-{form.lower()}.json").read_text()))


CAUSES = {
    "push-artifact-tagged": ("PUSH_ARTIFACT", "v1", "", "Success"),
    "push-artifact-digest": ("PUSH_ARTIFACT", "", "", "Success"),
    "delete-artifact": ("DELETE_ARTIFACT", "v1", "delete", "Success"),
    "delete-artifact-untagged": ("DELETE_ARTIFACT", "", "delete", "Success"),
    "scanning-completed": ("SCANNING_COMPLETED", "v1", "vulnerability", "Success"),
    "scanning-completed-clean": ("SCANNING_COMPLETED", "v1", "vulnerability", "Success"),
    "scanning-completed-index-child": ("SCANNING_COMPLETED", "", "vulnerability", "Success"),
    "scanning-completed-sbom": ("SCANNING_COMPLETED", "v1", "sbom", "Success"),
    "scanning-failed": ("SCANNING_FAILED", "v1", "vulnerability", "Error"),
}
"""Which fixture is of which event, of an image under which tag, caused by what, ending how."""


@pytest.mark.parametrize("form", ["Default", "CloudEvents"])
@pytest.mark.parametrize("name", CAUSES)
def test_a_payload_has_the_form_of_its_fixture(harbor: StandIn, name: str, form: str) -> None:
    kind, tag, cause, ends = CAUSES[name]
    harbor.project("iav")
    harbor.set(scan_ends=ends)
    assert harbor.admin.post(POLICIES, json=policy_for(kind, payload_format=form)).is_success
    digest = pushed(harbor, tag)
    reference = tag or digest
    if cause == "delete":
        assert harbor.admin.delete(f"{IMAGE}/{reference}").is_success
    elif cause:
        assert harbor.admin.post(f"{IMAGE}/{reference}/scan", json={"scan_type": cause}).is_success
    [request, *_more] = delivered(harbor, 1)
    payload = json.loads(request.content)
    assert shape(payload) == expected(name, form)
    data = payload["data"] if form == "CloudEvents" else payload["event_data"]
    address = f"registry.example.com/iav/base-notebook{':' if tag else '@'}{reference}"
    assert (data["resources"][0]["digest"], data["resources"][0]["resource_url"]) == (digest, address)
    assert payload["type"] == (CLOUD_EVENTS[kind] if form == "CloudEvents" else kind)
    media = "application/cloudevents+json" if form == "CloudEvents" else "application/json"
    assert request.headers["Content-Type"] == media


def test_read_only_denies_every_write(harbor: StandIn) -> None:
    harbor.project("iav")
    harbor.set(read_only=True)
    message = refused(harbor.admin.post(f"{API}/projects", json={"project_name": "more"}), 403, "DENIED")
    assert message == "The system is in read only mode. Any modification is prohibited."
    refused(push(harbor.admin, "iav/base-notebook", "v1", b"one"), 403, "DENIED")
    assert harbor.admin.get(f"{API}/projects/iav").status_code == 200


def test_faults_that_a_test_wants_are_met_as_often_as_it_says(harbor: StandIn) -> None:
    harbor.project("iav")
    plain = httpx.Client(base_url=harbor.url, auth=("admin", PASSWORD), trust_env=False)
    for fault in ({"status": 503}, {"status": 429, "code": "TOO_MANY_REQUEST", "headers": {"Retry-After": "1"}}):
        assert plain.post("/test/faults", json={"path": "/projects/iav", "times": 2, **fault}).status_code == 201
        assert [plain.get(f"{API}/projects/iav").status_code for _ in range(3)] == [fault["status"]] * 2 + [200]
    assert plain.post("/test/faults", json={"path": "/blobs/uploads", "method": "PATCH", "cut": True}).is_success
    plain.cookies.clear()
    with pytest.raises(httpx.RemoteProtocolError):
        push(plain, "iav/base-notebook", "v1", b"one")
    assert plain.post("/test/faults", json={"path": "/projects", "status": 500, "message": "secret"}).is_success
    assert refused(plain.get(f"{API}/projects"), 500, "UNKNOWN") == "internal server error"


def test_tests_can_see_what_was_asked_and_nobody_else_can(harbor: StandIn) -> None:
    since = time.time()
    harbor.project("iav")
    rows = harbor.admin.get("/test/requests", params={"since": since}).json()
    assert [(row["method"], row["path"], row["status"]) for row in rows] == [("POST", f"{API}/projects", 201)]
    assert harbor.client().get("/test/requests").status_code == 401
    assert harbor.user("person").put("/test/settings", json={"read_only": True}).status_code == 403


def test_a_tag_that_somebody_moves_and_an_image_that_is_lost(harbor: StandIn) -> None:
    harbor.project("iav")
    one, _two = pushed(harbor, layer=b"one"), pushed(harbor, layer=b"two")
    name = {"repository": "iav/base-notebook"}
    assert harbor.admin.post("/test/tags", json={**name, "tag": "v1", "digest": one}).is_success
    assert harbor.admin.get(f"{IMAGE}/v1").json()["digest"] == one
    assert harbor.admin.post("/test/forget", json={**name, "reference": one}).is_success
    assert harbor.admin.head(f"/v2/iav/base-notebook/manifests/{one}").status_code == 404
