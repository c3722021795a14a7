"""A running notebook survives: a kernel counts through a deploy, one that fails, going back, and a proxy's restart."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from contextlib import closing

import pytest
from kubernetes import client

from deployments.sandbox.paths import CLONE
from tasks.core.objects import POD
from tasks.core.wait import wait_until
from tasks.validation.client import UserSession
from tests.sandbox.conftest import Profile, Sandbox, new_profile
from tests.sandbox.counting import Counting
from tests.sandbox.people import start, user_of

TOLD = "proxy restarts"


@pytest.fixture(scope="module")
def hub(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Generator[Profile]:
    """A hub of the module's own, which passed its checks, and has one release more to go back from."""
    own = new_profile(sandbox, tmp_path_factory.mktemp("profile"), f"test-{os.urandom(4).hex()}")
    try:
        sandbox.flows("deploy", str(own), "--json").done()
        yield own
    finally:
        client.CoreV1Api(sandbox.api()).delete_namespace(own.namespace)


@pytest.fixture(scope="module")
def user(hub: Profile) -> Generator[UserSession]:
    """Somebody with a server that runs."""
    with closing(user_of(hub, "ada")) as session:
        start(session)
        yield session


@pytest.fixture(scope="module")
def counting(user: UserSession) -> Generator[Counting]:
    with Counting(user) as kernel:
        yield kernel


def test_through_a_deploy_that_restarts_the_hub(sandbox: Sandbox, hub: Profile, counting: Counting) -> None:
    before = _uids(sandbox, hub, "hub")
    hub.change(server={"idle_timeout": "2h"})
    sandbox.flows("deploy", str(hub), "--json").done()
    assert _uids(sandbox, hub, "hub") != before
    counting.goes_on()
    assert (counting.cuts, counting.lost) == (0, 0)


def test_through_a_deploy_that_fails(sandbox: Sandbox, hub: Profile, counting: Counting) -> None:
    hub.change(release={"images": {"hub": "10.51.0.2:5000/library/busybox:1"}})
    ended = sandbox.flows("deploy", str(hub))
    hub.change(release={"images": {}})
    assert ended.code == 1
    assert "going back to revision" in ended.stderr
    counting.goes_on()
    assert (counting.cuts, counting.lost) == (0, 0)


def test_through_a_rollback(sandbox: Sandbox, hub: Profile, counting: Counting) -> None:
    ended = sandbox.flows("rollback", str(hub), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    assert ended.result["to"] == 1
    counting.goes_on()
    assert (counting.cuts, counting.lost) == (0, 0)


def test_through_a_restart_of_the_proxy_which_users_are_told_of(
    sandbox: Sandbox, hub: Profile, user: UserSession, counting: Counting
) -> None:
    """The proxy's Deployment was edited by hand; that it goes back to what it was restarts its pod."""
    _edit_proxy(sandbox, hub)
    counting.goes_on()
    plan = sandbox.flows("deploy", str(hub), "--plan-only", "--json")
    [restart] = [one["after"] for one in plan.result["plan"] if one["what"] == "Pods of proxy"]
    assert "users are told before" in restart
    before, cuts, counting.gap = _uids(sandbox, hub, "proxy"), counting.cuts, 0.0
    running = subprocess.Popen(
        sandbox.command("deploy", str(hub)), cwd=CLONE, env=sandbox.environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    wait_until("hub", "tell its users", lambda: _untold(user), seconds=120, remedy="look at the hub's log")
    assert _uids(sandbox, hub, "proxy") == before, "users are told before it restarts"
    output = running.communicate(timeout=180)[0]
    assert running.returncode == 0, output[-3000:]
    assert _uids(sandbox, hub, "proxy") != before
    counting.goes_on()
    assert counting.cuts > cuts
    print(f"no number for {counting.gap:.1f} s, and {counting.lost} of {len(counting.numbers)} never heard")
    wait_until("hub", "say nothing more", lambda: "" if _untold(user) else "it is told", seconds=60, remedy="")


def _untold(user: UserSession) -> str:
    page = user.fetch("GET", "/hub/home", allowed=(200,)).text
    return "" if TOLD in page else "the page does not say it"


def _edit_proxy(sandbox: Sandbox, profile: Profile) -> None:
    """Its pod is another one, and ready."""
    before = _uids(sandbox, profile, "proxy")
    probe = {"name": "chp", "readinessProbe": {"periodSeconds": 3}}
    patch = {"spec": {"template": {"spec": {"containers": [probe]}}}}
    client.AppsV1Api(sandbox.api()).patch_namespaced_deployment("proxy", profile.namespace, patch)

    def missing() -> str:
        pods = sandbox.kubernetes.list(POD, profile.namespace, "component=proxy")
        ready = [
            all(one["ready"] for one in pod["status"].get("containerStatuses", [{"ready": False}])) for pod in pods
        ]
        return "" if ready == [True] and _uids(sandbox, profile, "proxy") != before else "no new proxy"

    wait_until("test", "restart the proxy", missing, seconds=60, remedy="")


def _uids(sandbox: Sandbox, profile: Profile, component: str) -> set[str]:
    pods = sandbox.kubernetes.list(POD, profile.namespace, f"component={component}")
    return {pod["metadata"]["uid"] for pod in pods}
