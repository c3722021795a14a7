"""A Harbor that refuses, is busy, slow or cut off: what is told, and that the work goes on afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.spec import Hub
from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.objects import SECRET
from tasks.registry import client
from tasks.registry.images import find_image, protect_image
from tasks.registry.phase import ensure_policies, ensure_project, ensure_robots, look_at_registry
from tasks.registry.state import Kind
from tests.sandbox.conftest import Sandbox
from tests.sandbox.registry.conftest import FENCE, Admin, Log, changed, login_of, set_up

PROJECTS = ("/api/v2.0/projects$", ensure_project)
RULES = ("/projects/{name}/immutabletagrules$", ensure_policies)
Refused = tuple[tuple[str, Any], int, str, str, type[HubError], str, str]

REFUSED: dict[str, Refused] = {
    "no login": (
        PROJECTS, 401, "UNAUTHORIZED", "unauthorized", Permanent,
        "POST /projects: 401 UNAUTHORIZED unauthorized",
        "check registry.harbor.user and the password of hubwright: Harbor does not know this login",
    ),
    "no rights": (
        RULES, 403, "FORBIDDEN", "forbidden", Permanent,
        "POST /projects/{name}/immutabletagrules: 403 FORBIDDEN forbidden: hubwright may not do this",
        "have somebody make hubwright an administrator of the project (its page, Members)",
    ),
    "read-only": (
        PROJECTS, 403, "DENIED", "The system is in read only mode. Any modification is prohibited.", Permanent,
        "403 DENIED The system is in read only mode. Any modification is prohibited.",
        "have Harbor's administrator end its read-only mode (Configuration, System Settings), then run again",
    ),
    "over quota": (
        PROJECTS, 403, "DENIED", "will exceed the configured upper limit of 1.0 GiB.", Permanent,
        "403 DENIED will exceed the configured upper limit of 1.0 GiB.",
        "have Harbor's administrator raise the project's quota, or delete images that nobody needs",
    ),
    "gone": (
        RULES, 404, "NOT_FOUND", "project not found", Permanent,
        "404 NOT_FOUND project not found",
        "check image.reference; if it is right, somebody deleted this meanwhile: run again",
    ),
    "taken": (
        RULES, 409, "CONFLICT", "already exists", Permanent,
        "409 CONFLICT already exists",
        "somebody made it or works on it meanwhile: look at it in Harbor, and run again",
    ),
    "unmet": (
        RULES, 412, "PRECONDITION", "not yet", Permanent,
        "412 PRECONDITION not yet", "read the message: Harbor wants something else to be so first",
    ),
    "not taken": (
        RULES, 400, "BAD_REQUEST", "bad rule", Permanent,
        "400 BAD_REQUEST bad rule", "read the message, and change in the profile what it names",
    ),
    "busy": (
        RULES, 429, "TOO_MANY_REQUEST", "slow down", Transient,
        "429 TOO_MANY_REQUEST slow down", "wait for Harbor to recover, then run again",
    ),
    "broken": (RULES, 500, "UNKNOWN", "", Transient, "500 UNKNOWN internal server error", "its log says more"),
    "away": (RULES, 502, "", "", Transient, "502 Bad Gateway", "wait for Harbor to recover, then run again"),
    "restarting": (RULES, 503, "", "", Transient, "503 Service Unavailable", "wait for Harbor to recover"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_harbor_refuses_is_told_with_what_to_do_and_the_next_run_does_it(
    admin: Admin, hub: Hub, case: str
) -> None:
    (path, task), status, code, message, kind, answered, remedy = REFUSED[case]
    if task is ensure_policies:
        ensure_project.fn(hub, FENCE)
        ensure_robots.fn(hub, FENCE)
    admin.fault(path.format(name=hub.name), status, method="POST", code=code, message=message)
    with pytest.raises(kind) as told:
        task.fn(hub, FENCE)
    text = str(told.value)
    assert text.startswith("Harbor: POST ")
    assert answered.format(name=hub.name) in text
    assert remedy in text.partition("What to do: ")[2]
    set_up(hub)
    assert look_at_registry.fn(hub).plan.empty


@pytest.mark.parametrize(
    ("status", "more"),
    [(429, {"headers": {"Retry-After": "1"}}), (502, {}), (503, {}), (500, {}), (0, {"cut": True})],
)
def test_questions_wait_for_a_harbor_that_restarts(
    admin: Admin, ready: Hub, log: Log, status: int, more: dict[str, Any]
) -> None:
    admin.fault(f"/projects/{ready.name}$", status, times=2, method="GET", **more)
    assert look_at_registry.fn(ready).plan.empty
    waited = [said for said in log.said if said.startswith("waiting for Harbor: ")]
    assert len(waited) == 2


def test_a_harbor_that_asks_for_more_patience_than_there_is_gets_none(admin: Admin, ready: Hub) -> None:
    admin.fault(f"/projects/{ready.name}$", 429, headers={"Retry-After": "3600"}, code="TOO_MANY_REQUEST")
    with pytest.raises(Permanent, match="not within 60 s: 429 TOO_MANY_REQUEST"):
        look_at_registry.fn(ready)


def test_a_slow_harbor_is_asked_again(admin: Admin, ready: Hub, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 1)
    admin.fault(f"/projects/{ready.name}$", 0, delay=30.0)
    assert look_at_registry.fn(ready).plan.empty
    assert [said for said in log.said if "timed out" in said]


def test_a_write_whose_answer_is_lost_is_done_by_the_next_run(admin: Admin, hub: Hub, sandbox: Sandbox) -> None:
    ensure_project.fn(hub, FENCE)
    for _ in Kind:
        admin.fault("/api/v2.0/robots$", 0, method="POST", cut=True)
        with pytest.raises(Transient, match=r"an answer that is not|cannot be reached"):
            ensure_robots.fn(hub, FENCE)
    set_up(hub)
    assert look_at_registry.fn(hub).plan.empty
    assert login_of(sandbox, hub, Kind.PULL)


def test_a_certificate_that_is_not_trusted_is_told_at_once(ready: Hub) -> None:
    hub = ready.model_copy(update={"registry": ready.registry.model_copy(update={"ca": None})})
    with pytest.raises(Permanent, match=r"its certificate is not trusted.*\n.*registry.ca"):
        look_at_registry.fn(hub)


def test_a_wrong_password_is_told_and_never_shown(ready: Hub, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("marker-wrong")
    with pytest.raises(Permanent, match="401 UNAUTHORIZED") as told:
        look_at_registry.fn(changed(ready, password={"file": str(wrong)}))
    assert "marker" not in str(told.value)


def test_without_its_robot_nothing_is_scanned_or_protected(sandbox: Sandbox, hub: Hub) -> None:
    assert sandbox.kubernetes.read(SECRET, Kind.BUILD.secret, hub.cluster.namespace) is None
    with pytest.raises(Permanent, match=r"Secret hubwright-build-robot.*\n.*deploy the hub"):
        protect_image.fn(hub, "sha256:" + "0" * 64, FENCE)


def test_a_robot_that_lost_its_rights_says_which_to_mend(admin: Admin, ready: Hub) -> None:
    digest = admin.push(ready, "v1", ready.name.encode())
    robot = admin.robots(ready)[f"{ready.name}-build"]
    access = [{"resource": "artifact", "action": "read"}]
    body = {**robot, "permissions": [{**robot["permissions"][0], "access": access}]}
    admin.api("PUT", f"/robots/{robot['id']}", json=body)
    with pytest.raises(Permanent, match="deploy the hub, so that the robot"):
        protect_image.fn(ready, digest, FENCE)
    set_up(ready)
    protect_image.fn(ready, digest, FENCE)
    admin.api("PUT", f"/robots/{robot['id']}", json={**body, "disable": True})
    with pytest.raises(Permanent, match=r"401 UNAUTHORIZED.*\n.*gets a new secret"):
        protect_image.fn(ready, digest, FENCE)


def test_a_fence_that_is_lost_stops_every_write(admin: Admin, hub: Hub) -> None:
    class Lost:
        def check(self) -> None:
            raise Permanent("fence", "hold it", "lost to another run", "run again")

    tasks: list[Callable[..., Any]] = [ensure_project.fn]
    for task in tasks:
        with pytest.raises(Permanent, match="lost to another run"):
            task(hub, Lost())
    ensure_project.fn(hub, FENCE)
    for task in (ensure_robots.fn, ensure_policies.fn):
        with pytest.raises(Permanent, match="lost to another run"):
            task(hub, Lost())
    assert admin.robots(hub) == {}
    assert find_image.fn(hub, "v1") is None
