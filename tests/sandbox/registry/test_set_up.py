"""A project, robots, rules and webhook in the sandbox's Harbor: made once, and mended whatever happened to them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest
from kubernetes import client

from config.spec import Hub
from tasks.core.objects import SECRET
from tasks.core.problems import NotReady
from tasks.core.wait import wait_until
from tasks.registry import phase
from tasks.registry.images import find_image, protect_image
from tasks.registry.phase import (
    ensure_policies,
    ensure_robots,
    look_at_registry,
    pin_images,
)
from tasks.registry.state import Kind
from tests.sandbox.conftest import Sandbox
from tests.sandbox.registry.conftest import (
    ESCAPED,
    FENCE,
    SECONDS,
    Admin,
    changed,
    copy,
    login_of,
    new_hub,
    now,
    set_up,
)

REQUESTS_AT_MOST = 10
"""As many may one look take when there is nothing to do."""


@dataclass(frozen=True)
class Harmed:
    """The robot to which something happens."""

    core: client.CoreV1Api
    admin: Admin
    hub: Hub
    kind: Kind


def planned(hub: Hub) -> list[str]:
    look = look_at_registry.fn(hub)
    assert [problem for problem in look.problems if problem.fatal] == []
    return [str(change) for change in look.plan]


def test_everything_is_planned_made_and_not_made_again(sandbox: Sandbox, admin: Admin, hub: Hub) -> None:
    plan, started = planned(hub), now()
    assert admin.writes(started) == []
    assert plan == [
        f"create Project {hub.name}: nothing -> private",
        f"create Robot {hub.name}-build: nothing -> good for 90 days",
        "create Secret hubwright-build-robot: nothing -> (hidden)",
        f"create Robot {hub.name}-pull: nothing -> good for 90 days",
        "create Secret hubwright-pull: nothing -> (hidden)",
        "create Retention of tools/notebook: nothing -> the newest 10",
        "create Retention schedule: nothing -> 0 0 3 * * *",
        "create Immutable tags release-* of tools/notebook",
    ]
    assert set_up(hub) == plan
    versions = [secret_version(sandbox, hub, kind) for kind in Kind]
    started = now()
    assert planned(hub) == []
    assert len(admin.requests(started)) <= REQUESTS_AT_MOST, admin.requests(started)
    assert set_up(hub) == []
    assert admin.writes(started) == []
    assert [secret_version(sandbox, hub, kind) for kind in Kind] == versions


def secret_version(sandbox: Sandbox, hub: Hub, kind: Kind) -> str:
    found = sandbox.kubernetes.read(SECRET, kind.secret, hub.cluster.namespace)
    assert found
    assert found["type"] == kind.secret_type
    return found["metadata"]["resourceVersion"]


def test_the_one_robot_pushes_the_other_only_pulls_and_the_cluster_with_it(sandbox: Sandbox, ready: Hub) -> None:
    refused = copy(sandbox, ready, login_of(sandbox, ready, Kind.PULL))
    assert refused.returncode != 0
    assert "unauthorized" in refused.stderr
    done = copy(sandbox, ready, login_of(sandbox, ready, Kind.BUILD))
    assert done.returncode == 0, done.stderr
    digest = find_image.fn(ready, "v1")
    assert digest
    assert pin_images.fn(ready).notebook.digest == digest
    core = client.CoreV1Api(sandbox.api())
    image = str(pin_images.fn(ready).notebook)
    container = {"name": "tool", "image": image, "imagePullPolicy": "Always", "command": ["/bin/busybox", "true"]}
    spec = {"restartPolicy": "Never", "imagePullSecrets": [{"name": Kind.PULL.secret}], "containers": [container]}
    namespace = ready.cluster.namespace
    core.create_namespaced_pod(
        namespace, {"metadata": {"name": "tool"}, "spec": {**spec, "automountServiceAccountToken": False}}
    )

    def missing() -> str:
        phase = core.read_namespaced_pod_status("tool", namespace).status.phase
        return "" if phase == "Succeeded" else phase

    wait_until("pod", "run", missing, seconds=SECONDS, remedy="")


def _robot(harmed: Harmed) -> int:
    return harmed.admin.robots(harmed.hub)[f"{harmed.hub.name}-{harmed.kind}"]["id"]


def _expire(harmed: Harmed) -> None:
    harmed.admin.ask("POST", f"/test/robots/{_robot(harmed)}/expire")


def _delete_robot(harmed: Harmed) -> None:
    harmed.admin.api("DELETE", f"/robots/{_robot(harmed)}")


def _refresh(harmed: Harmed) -> None:
    harmed.admin.api("PATCH", f"/robots/{_robot(harmed)}", json={"secret": "Other-secret-1"})


def _delete_secret(harmed: Harmed) -> None:
    harmed.core.delete_namespaced_secret(harmed.kind.secret, harmed.hub.cluster.namespace)


def _garble(harmed: Harmed) -> None:
    _write_by_hand(harmed, {Kind.BUILD: ("password", "garbled"), Kind.PULL: (".dockerconfigjson", '{"auths":{}}')})


def _take_over(harmed: Harmed) -> None:
    other = '{"auths":{"other.example.internal":{"auth":"eDp5"}}}'
    _write_by_hand(harmed, {Kind.BUILD: ("username", "robot$other"), Kind.PULL: (".dockerconfigjson", other)})


def _write_by_hand(harmed: Harmed, texts: dict[Kind, tuple[str, str]]) -> None:
    """The field is managed by somebody else from then on."""
    key, text = texts[harmed.kind]
    body = {"data": {key: base64.b64encode(text.encode()).decode()}}
    name, namespace = harmed.kind.secret, harmed.hub.cluster.namespace
    harmed.core.patch_namespaced_secret(name, namespace, body, field_manager="kubectl-edit")


HARMS: dict[str, tuple[Callable[[Harmed], None], str]] = {
    "expired": (_expire, "it expired on"),
    "deleted": (_delete_robot, ""),
    "another secret": (_refresh, "Harbor does not let in what Secret"),
    "Secret deleted": (_delete_secret, "there is no Secret"),
    "Secret garbled": (_garble, "Secret"),
    "Secret of another": (_take_over, "Secret"),
}


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("harm", HARMS)
def test_a_robot_that_is_good_for_nothing_any_more_is_made_anew(
    sandbox: Sandbox, admin: Admin, ready: Hub, harm: str, kind: Kind
) -> None:
    before = {one: login_of(sandbox, ready, one) for one in Kind}
    do, said = HARMS[harm]
    do(Harmed(client.CoreV1Api(sandbox.api()), admin, ready, kind))
    plan = planned(ready)
    assert len(plan) == 2
    assert f"Robot {ready.name}-{kind}" in plan[0]
    assert said in plan[0]
    assert f"Secret {kind.secret}" in plan[1]
    assert "(hidden)" in plan[1]
    assert set_up(ready) == plan
    after = {one: login_of(sandbox, ready, one) for one in Kind}
    assert [one for one in Kind if after[one] != before[one]] == [kind]
    started = now()
    assert set_up(ready) == []
    assert admin.writes(started) == []
    if kind is Kind.BUILD:
        assert copy(sandbox, ready, after[kind]).returncode == 0


def test_a_robot_near_its_end_is_renewed_and_one_that_drifted_is_put_right(
    sandbox: Sandbox, admin: Admin, ready: Hub
) -> None:
    login = login_of(sandbox, ready, Kind.BUILD)
    robot = admin.robots(ready)[f"{ready.name}-build"]
    access = [*robot["permissions"][0]["access"], {"resource": "artifact", "action": "delete"}]
    body = {**robot, "permissions": [{**robot["permissions"][0], "access": access}]}
    admin.api("PUT", f"/robots/{robot['id']}", json=body)
    [change] = planned(ready)
    assert change.startswith(f"update Robot {ready.name}-build rights: artifact-addition:read, artifact:delete")
    assert set_up(ready) == [change]
    assert planned(ready) == []
    assert login_of(sandbox, ready, Kind.BUILD) == login
    longer = changed(ready, robot_days=200)
    assert len(planned(longer)) == 2
    set_up(longer)
    assert admin.robots(ready)[f"{ready.name}-build"]["duration"] == 200
    assert login_of(sandbox, ready, Kind.BUILD) == login
    early = changed(ready, robot_days=200, renew_days=199)
    assert planned(early) == []  # it has 200 days
    admin.api("PUT", f"/robots/{robot['id']}", json={**body, "duration": 10})
    soon = planned(early)
    assert "its time ends on" in soon[0]
    assert "made anew, good for 200 days" in soon[0]
    set_up(early)
    assert login_of(sandbox, ready, Kind.BUILD) != login


def test_a_robot_that_somebody_disabled_is_told_and_left(admin: Admin, ready: Hub) -> None:
    robot = admin.robots(ready)[f"{ready.name}-pull"]
    admin.api("PUT", f"/robots/{robot['id']}", json={**robot, "disable": True})
    look = look_at_registry.fn(ready)
    assert look.plan.empty
    [problem] = look.problems
    assert problem.fatal
    assert str(problem) == (
        f"Robot {ready.name}-pull: somebody disabled it, so it is left so\n"
        "      ask who did it, and why; then enable it in Harbor, or delete it there to have it made anew"
    )
    started = now()
    with pytest.raises(NotReady, match="somebody disabled it"):
        ensure_robots.fn(ready, FENCE)
    assert admin.writes(started) == []


class Killed(BaseException):
    """Nothing catches it."""


@pytest.mark.parametrize("step", ["create_robot", "_keep"])
def test_a_run_that_was_killed_between_a_robot_and_its_secret_is_run_again(
    sandbox: Sandbox, admin: Admin, ready: Hub, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_arguments: object) -> None:
        raise Killed

    _delete_secret(Harmed(client.CoreV1Api(sandbox.api()), admin, ready, Kind.BUILD))
    with monkeypatch.context() as patched:
        patched.setattr(phase.Harbor if step == "create_robot" else phase, step, killed)
        with pytest.raises(Killed):
            ensure_robots.fn(ready, FENCE)
    assert len(list(ensure_robots.fn(ready, FENCE))) == 2
    assert ensure_robots.fn(ready, FENCE).empty
    assert login_of(sandbox, ready, Kind.BUILD).user.endswith(f"+{ready.name}-build")


def test_two_hubs_share_a_project_and_leave_what_people_set(sandbox: Sandbox, admin: Admin, ready: Hub) -> None:
    theirs = {"action": "retain", "template": "always", "tag_selectors": [], "scope_selectors": {"repository": []}}
    number = admin.api("GET", f"/projects/{ready.name}")["metadata"]["retention_id"]
    policy = admin.api("GET", f"/retentions/{number}")
    admin.api("PUT", f"/retentions/{number}", json={**policy, "rules": [*policy["rules"], theirs]})
    target = {"type": "http", "address": "http://other.example.internal/", "payload_format": "Default"}
    other = {"name": "theirs", "enabled": True, "event_types": ["PULL_ARTIFACT"], "targets": [target]}
    admin.api("POST", f"/projects/{ready.name}/webhook/policies", json=other)
    second = new_hub(sandbox, f"{ready.name}-b", ready.name, "tools/second")
    try:
        assert "create Retention of tools/second: nothing -> the newest 10" in set_up(second)
        assert sorted(admin.robots(ready)) == sorted(
            f"{name}-{kind}" for name in (ready.name, second.name) for kind in Kind
        )
        rules = admin.api("GET", f"/retentions/{number}")["rules"]
        assert sorted(rule["template"] for rule in rules) == ["always", "latestPushedK", "latestPushedK"]
        assert set_up(ready) == []
        assert set_up(second) == []
        set_up(changed(ready, retention=None))
        rules = admin.api("GET", f"/retentions/{number}")["rules"]
        assert sorted(rule["template"] for rule in rules) == ["always", "latestPushedK"]
        assert [one["name"] for one in admin.api("GET", f"/projects/{ready.name}/webhook/policies")] == ["theirs"]
    finally:
        client.CoreV1Api(sandbox.api()).delete_namespace(second.name)


def test_retention_deletes_what_is_old_and_not_what_a_release_names(admin: Admin, hub: Hub) -> None:
    hub = changed(hub, retention={"newest": 2, "schedule": "0 0 3 * * *"})
    set_up(hub)
    digests = [admin.push(hub, f"v{number}", f"layer {number}".encode()) for number in range(4)]
    protect_image.fn(hub, digests[0], FENCE)
    started = now()
    protect_image.fn(hub, digests[0], FENCE)
    rows = admin.ask("GET", "/test/requests", params={"since": started}).json()
    assert [row for row in rows if row["method"] == "POST" and hub.name in row["path"]] == []
    number = admin.api("GET", f"/projects/{hub.name}")["metadata"]["retention_id"]
    admin.api("POST", f"/retentions/{number}/executions", json={"dry_run": False})
    wait_until("Harbor", "delete v1", lambda: find_image.fn(hub, "v1") or "", seconds=SECONDS, remedy="")
    assert [find_image.fn(hub, f"v{number}") for number in range(4)] == [digests[0], None, digests[2], digests[3]]
    tag = f"release-{digests[0].removeprefix('sha256:')[:12]}"
    assert find_image.fn(hub, tag) == digests[0]
    admin.http.cookies.clear()
    path = f"/api/v2.0/projects/{hub.name}/repositories/{ESCAPED}/artifacts/{digests[0]}"
    assert admin.http.delete(path).status_code == 412


def test_an_image_of_no_project_is_not_there(hub: Hub) -> None:
    assert find_image.fn(hub, "v1") is None


def test_the_webhook_is_made_changed_and_taken_away_and_its_secret_is_told_nobody(
    admin: Admin, ready: Hub, tmp_path: Path
) -> None:
    secret = tmp_path / "authorization"
    secret.write_text("Bearer marker-one\n")
    part = {"url": "https://hooks.example.internal/harbor", "authorization": {"file": str(secret)}}
    hub = changed(ready, webhook=part)
    assert planned(hub) == [f"create Webhook hubwright-{hub.name}: nothing -> https://hooks.example.internal/harbor"]
    set_up(hub)
    [policy] = admin.api("GET", f"/projects/{hub.name}/webhook/policies")
    assert policy["enabled"]
    assert policy["targets"][0]["auth_header"] == "Bearer marker-one"
    assert set_up(hub) == []
    secret.write_text("Bearer marker-two\n")
    assert set_up(hub) == [f"update Webhook hubwright-{hub.name} authorization: (hidden) -> (hidden)"]
    admin.api("PUT", f"/projects/{hub.name}/webhook/policies/{policy['id']}", json={**policy, "enabled": False})
    assert set_up(hub) == [
        f"update Webhook hubwright-{hub.name} enabled: False -> True",
        f"update Webhook hubwright-{hub.name} authorization: (hidden) -> (hidden)",
    ]
    assert set_up(hub) == []
    assert set_up(ready) == [f"delete Webhook hubwright-{hub.name}"]
    assert admin.api("GET", f"/projects/{hub.name}/webhook/policies") == []


def test_rules_that_somebody_switched_off_are_on_again(admin: Admin, ready: Hub) -> None:
    [rule] = admin.api("GET", f"/projects/{ready.name}/immutabletagrules")
    admin.api("PUT", f"/projects/{ready.name}/immutabletagrules/{rule['id']}", json={**rule, "disabled": True})
    number = admin.api("GET", f"/projects/{ready.name}")["metadata"]["retention_id"]
    policy = admin.api("GET", f"/retentions/{number}")
    rules = [{**policy["rules"][0], "disabled": True}]
    admin.api("PUT", f"/retentions/{number}", json={**policy, "rules": rules})
    assert [str(change) for change in ensure_policies.fn(ready, FENCE)] == [
        "update Retention of tools/notebook: the newest 10, disabled -> the newest 10",
        "update Immutable tags release-* of tools/notebook: disabled -> enabled",
    ]
    assert set_up(ready) == []


def test_an_allowance_whose_day_has_passed_is_told(ready: Hub) -> None:
    yesterday = str(date.today() - timedelta(days=2))  # noqa: DTZ011
    gate = {"allowed": [{"id": "CVE-1", "until": yesterday, "reason": "not called"}]}
    look = look_at_registry.fn(changed(ready, gate=gate))
    assert [(problem.what, problem.fatal) for problem in look.problems] == [("Vulnerability CVE-1", False)]
    assert look.plan.empty
