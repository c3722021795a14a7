"""The sandbox itself: once up it stays as it is; down leaves nothing; killed, it comes up again."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from deployments.sandbox.addresses import API, HOST_LINK, NAME, NETWORK_NAMESPACE, REGISTRY_URL
from deployments.sandbox.cgroup import has_processes, hierarchies
from deployments.sandbox.mounts import mounts_below
from deployments.sandbox.ownership import sole_command
from deployments.sandbox.paths import CLONE
from deployments.sandbox.status import read_status
from tasks.core.wait import wait_until
from tests.sandbox.conftest import Ended, Sandbox

UP_SECONDS = 180
KEYS = {"kubeconfig", "ca", "audit_log", "registry", "prefect_url", "hub_url", "keycloak_url", "harbor_url", "parts"}


def _sandbox(*words: str) -> Ended:
    argv = [sys.executable, "-m", "deployments.sandbox", *words]
    done = subprocess.run(argv, cwd=CLONE, capture_output=True, text=True, timeout=UP_SECONDS, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


def _supervisor(sandbox: Sandbox) -> int:
    """Process id of the supervisor."""
    return int((sandbox.paths.run / "supervisor.pid").read_text())


def test_status_tells_scripts_what_they_need(sandbox: Sandbox) -> None:
    ended = _sandbox("status", "--json")
    assert ended.code == 0
    document = json.loads(ended.stdout)
    assert document.keys() == KEYS
    assert all(part["healthy"] for part in document["parts"])
    assert Path(document["kubeconfig"]) == sandbox.paths.kubeconfig


@pytest.mark.parametrize("url", [f"{API}/readyz", f"{REGISTRY_URL}/v2/"])
def test_servers_are_verified_by_the_sandboxs_ca_and_no_other(sandbox: Sandbox, url: str) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(url, timeout=10)
    assert httpx.get(url, verify=ssl.create_default_context(cafile=sandbox.paths.ca), timeout=10).status_code == 200


def test_up_again_changes_nothing(sandbox: Sandbox) -> None:
    supervisor, start = _supervisor(sandbox), sandbox.audit.now()
    ended = _sandbox("up")
    assert ended.code == 0, ended.stdout + ended.stderr
    assert _supervisor(sandbox) == supervisor
    assert sandbox.audit.requests(start, ("hubwright",)) > 0
    for namespace in ("kube-system", "local-path-storage", "default"):
        assert sandbox.audit.writes(start, namespace, ("hubwright",)) == []


def test_a_second_command_at_the_same_time_says_so(sandbox: Sandbox) -> None:
    with sole_command(sandbox.paths):
        ended = _sandbox("up")
    assert ended.code == 1
    assert f"process {os.getpid()} of {CLONE} is at it" in ended.stderr


def test_killed_supervisor_and_up_again_is_healthy(sandbox: Sandbox) -> None:
    os.kill(_supervisor(sandbox), signal.SIGKILL)
    ended = _sandbox("up")
    assert ended.code == 0, ended.stdout + ended.stderr

    def missing() -> str:
        """A part may miss one look while every pod of the cluster starts anew; it has a moment to recover."""
        return "; ".join(f"{part.name}: {part.detail}" for part in read_status(sandbox.paths) if not part.healthy)

    wait_until("sandbox", "be healthy", missing, seconds=30, remedy="read its logs")


@pytest.mark.usefixtures("demo_image")
def test_down_leaves_nothing_and_up_brings_the_same_hub_back(sandbox: Sandbox) -> None:
    """The demo's hub keeps its volumes, its database and its release: the deploy after it has nothing to do."""
    before = sandbox.flows("deploy", "sandbox", "--json")
    assert before.code == 0, before.stderr[-3000:]
    ended = _sandbox("down")
    assert ended.code == 0, ended.stdout + ended.stderr
    left = {
        "namespace": NETWORK_NAMESPACE.exists(),
        "link": Path("/sys/class/net", HOST_LINK).exists(),
        "cgroups": [str(path / NAME) for path in hierarchies() if (path / NAME).exists()],
        "mounts": mounts_below(Path("/proc/self/mountinfo").read_text(), (sandbox.paths.state, sandbox.paths.run)),
        "processes": has_processes(),
    }
    assert not any(left.values()), left
    assert _sandbox("status").code == 1
    ended = _sandbox("up")
    assert ended.code == 0, ended.stdout + ended.stderr
    after = sandbox.flows("deploy", "sandbox", "--json")
    assert after.code == 0, after.stderr[-3000:]
    assert after.result["plan"] == []
    assert after.result["record"]["revision"] == before.result["record"]["revision"]
    image = sandbox.flows("rebuild-image", "sandbox", "--json")
    assert image.code == 0, image.stderr[-3000:]
    assert not image.result["built"]
