"""A release that is there: edited by hand, stuck, fought over by two runs, with GPUs, with a proxy that restarts."""

from __future__ import annotations

import subprocess
import time
from contextlib import closing
from typing import Any

import pytest
from kubernetes import client
from pydantic import SecretStr

from config.profiles import load_profile
from deployments.sandbox.paths import CLONE
from tasks.core.address import Address
from tasks.core.errors import Transient
from tasks.core.objects import LEASE, POD
from tasks.core.wait import wait_until
from tasks.validation.client import UserSession
from tests.sandbox.conftest import RELEASE, Profile, Sandbox

LEASE_NAME = f"{RELEASE}-hubwright"
VISIBLE_SECONDS = 15


@pytest.fixture(scope="module")
def healthy(sandbox: Sandbox, profile: Profile) -> Profile:
    """A profile whose hub runs."""
    ended = sandbox.flows("deploy", str(profile), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    return profile


def test_an_edit_by_hand_is_shown_exactly_and_taken_back(sandbox: Sandbox, healthy: Profile) -> None:
    apps = client.AppsV1Api(sandbox.api())
    own = {"name": "hub", "readinessProbe": {"periodSeconds": 7}, "env": [{"name": "SOMEBODYS_OWN", "value": "1"}]}
    patch = {"spec": {"template": {"spec": {"containers": [own]}}}}
    apps.patch_namespaced_deployment("hub", healthy.namespace, patch)
    plan = sandbox.flows("deploy", str(healthy), "--plan-only", "--json")
    assert plan.code == 2
    edited = "Deployment hub spec.template.spec.containers[hub].readinessProbe.periodSeconds"
    change, restart = plan.result["plan"]
    assert change == {"action": "update", "what": edited, "before": "7", "after": "2"}
    assert restart["what"] == "Pods of hub"
    ended = sandbox.flows("deploy", str(healthy), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    [hub] = apps.read_namespaced_deployment("hub", healthy.namespace).spec.template.spec.containers
    assert hub.readiness_probe.period_seconds == 2
    assert "SOMEBODYS_OWN" in [one.name for one in hub.env]  # the chart does not set it, so it stays
    _is_settled(sandbox, healthy)


def test_what_was_deleted_by_hand_is_made_again(sandbox: Sandbox, healthy: Profile) -> None:
    client.CoreV1Api(sandbox.api()).delete_namespaced_service("proxy-public", healthy.namespace)
    plan = sandbox.flows("deploy", str(healthy), "--plan-only", "--json")
    assert [(one["action"], one["what"]) for one in plan.result["plan"]] == [("create", "Service proxy-public")]
    ended = sandbox.flows("deploy", str(healthy), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    _is_settled(sandbox, healthy)


def _is_settled(sandbox: Sandbox, profile: Profile) -> None:
    plan = sandbox.flows("deploy", str(profile), "--plan-only", "--json")
    assert (plan.code, plan.result["plan"]) == (0, [])


def test_gpus_are_offered_while_a_node_advertises_some(sandbox: Sandbox, healthy: Profile) -> None:
    healthy.change(server={"gpu": {"count": 1}})
    _is_settled(sandbox, healthy)
    core = client.CoreV1Api(sandbox.api())
    paths = [f"/status/{amounts}/nvidia.com~1gpu" for amounts in ("capacity", "allocatable")]
    core.patch_node_status("hubwright", [{"op": "add", "path": path, "value": "2"} for path in paths])
    try:
        plan = sandbox.flows("deploy", str(healthy), "--plan-only", "--json")
        assert plan.code == 2
        change, restart = plan.result["plan"]
        assert change["what"] == "Release jupyterhub value singleuser.profileList"
        assert restart["what"] == "Pods of hub"
        assert "nvidia.com/gpu" in change["after"] or change["after"].endswith("…")
    finally:
        core.patch_node_status("hubwright", [{"op": "remove", "path": path} for path in paths])
    _is_settled(sandbox, healthy)


def test_two_deploys_at_once_take_turns(sandbox: Sandbox, healthy: Profile) -> None:
    healthy.change(server={"idle_timeout": "5h"})
    first = _start(sandbox, healthy)
    wait_until("test", "first", lambda: "" if _holder(sandbox, healthy) else "no holder", seconds=60, remedy="")
    holder = _holder(sandbox, healthy)
    second = sandbox.flows("deploy", str(healthy), "--json")
    output = first.communicate(timeout=120)[0]
    assert first.returncode == 0, output[-3000:]
    assert second.code == 0, second.stderr[-3000:]
    assert f"waiting for the fence: {holder} has held it since" in second.stderr
    assert _holder(sandbox, healthy) == ""


def test_a_run_that_loses_the_fence_stops_writing(sandbox: Sandbox, healthy: Profile) -> None:
    """Somebody takes the Lease while Helm works: the run ends Helm, and neither records nor restores anything."""
    healthy.change(server={"idle_timeout": "6h"})
    running = _start(sandbox, healthy)
    wait_until("test", "upgrade", lambda: "" if _pending(sandbox, healthy) else "not yet", seconds=60, remedy="")
    spec = {"holderIdentity": "somebody else", "leaseDurationSeconds": 1}
    client.CoordinationV1Api(sandbox.api()).patch_namespaced_lease(LEASE_NAME, healthy.namespace, {"spec": spec})
    output = running.communicate(timeout=120)[0]
    assert running.returncode == 1
    assert "it is held by somebody else" in output
    assert "going back" not in output
    ended = sandbox.flows("deploy", str(healthy), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    _is_settled(sandbox, healthy)


def test_a_rollback_that_was_killed_is_recovered(sandbox: Sandbox, healthy: Profile) -> None:
    """A pending rollback, as a killed run leaves it: the next run frees the release, and deploys."""
    healthy.change(server={"idle_timeout": "7h"})
    argv = ["helm", "rollback", RELEASE, "1", "--namespace", healthy.namespace, "--wait"]
    running = subprocess.Popen(argv, env=sandbox.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until("test", "rollback", lambda: "" if _pending(sandbox, healthy) else "not yet", seconds=30, remedy="")
    running.kill()
    running.wait()
    assert sandbox.history(healthy)[-1]["status"] == "pending-rollback"
    ended = sandbox.flows("deploy", str(healthy), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    _is_settled(sandbox, healthy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"images": {"hub": f"10.51.0.2:5000/library/busybox@sha256:{'0' * 64}"}}, "push"),
        ({"images": {"hub": "10.51.0.2:5000/library/busybox:1"}}, "jupyterhub"),
    ],
    ids=["an image that is not there", "an image without a hub in it"],
)
def test_a_pod_that_cannot_start_fails_the_release_soon_and_says_why(
    sandbox: Sandbox, healthy: Profile, change: dict[str, Any], said: str
) -> None:
    """Well before Helm's own minute has passed; and the newest healthy release serves again."""
    healthy.change(release=change)
    started = time.monotonic()
    ended = sandbox.flows("deploy", str(healthy))
    seconds = time.monotonic() - started
    healthy.change(release={"images": {}})
    assert ended.code == 1
    error = ended.stderr.rpartition("Kubernetes: start Pod hub-")[2]
    assert said in error
    assert "What to do:" in error
    assert "context deadline exceeded" not in ended.stderr
    assert "going back to revision" in ended.stderr
    assert seconds < 60
    _is_settled(sandbox, healthy)


def test_when_the_proxy_restarted_a_running_server_is_in_reach_at_once(sandbox: Sandbox, healthy: Profile) -> None:
    found = Address.of(load_profile(str(healthy)))
    address = Address(found.url, str(CLONE / str(found.ca)), found.ip)
    with closing(UserSession(address, "proxy-test")) as user:
        assert user.sign_in(SecretStr(healthy.password.read_text().strip()))
        user.start_server(120, lambda _text: None, lambda: None)
        try:
            _restart_proxy(sandbox, healthy)
            started = time.monotonic()
            wait_until("test", "route", lambda: _not_routed(user), seconds=20, remedy="the hub looks every 5 s")
            print(f"routed {time.monotonic() - started:.1f} s after the proxy was ready")
        finally:
            user.stop_server()


def _not_routed(user: UserSession) -> str:
    try:
        return "" if user.read_page(f"/user/{user.user}/api/status") == 200 else "the hub answers"
    except Transient as error:
        return error.answered


def _restart_proxy(sandbox: Sandbox, profile: Profile) -> None:
    core = client.CoreV1Api(sandbox.api())
    [before] = sandbox.kubernetes.list(POD, profile.namespace, "component=proxy")
    core.delete_namespaced_pod(before["metadata"]["name"], profile.namespace, grace_period_seconds=0)

    def missing() -> str:
        pods = sandbox.kubernetes.list(POD, profile.namespace, "component=proxy")
        fresh = [pod for pod in pods if pod["metadata"]["uid"] != before["metadata"]["uid"]]
        ready = [
            all(one["ready"] for one in pod["status"].get("containerStatuses", [{"ready": False}])) for pod in fresh
        ]
        return "" if ready == [True] else "no new proxy"

    wait_until("test", "proxy", missing, seconds=60, remedy="")


def _start(sandbox: Sandbox, profile: Profile) -> subprocess.Popen[str]:
    return subprocess.Popen(
        sandbox.command("deploy", str(profile)), cwd=CLONE, env=sandbox.environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _holder(sandbox: Sandbox, profile: Profile) -> str:
    lease = sandbox.kubernetes.read(LEASE, LEASE_NAME, profile.namespace) or {}
    return lease.get("spec", {}).get("holderIdentity", "")


def _pending(sandbox: Sandbox, profile: Profile) -> bool:
    return sandbox.history(profile)[-1]["status"].startswith("pending")
