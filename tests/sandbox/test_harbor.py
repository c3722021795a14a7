"""Harbor in the sandbox: real pushes with a robot's password, real pulls by the cluster, webhooks that arrive."""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import subprocess
import threading
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from kubernetes import client

from deployments.sandbox.addresses import HARBOR, HOST, REGISTRY
from deployments.sandbox.harbor.operations import connect, ensure_user
from tasks.core.wait import wait_until
from tests.sandbox.conftest import Sandbox

API = "/api/v2.0"
SECONDS = 60.0
SLOWER_THAN_HARBOR_WAITS = 4.0


@dataclass(frozen=True)
class Project:
    """A project with a robot that may push and pull."""

    name: str
    harbor: httpx.Client
    robot: str
    secret: str
    trust: Path

    @property
    def image(self) -> str:
        return f"{HARBOR}/{self.name}/tools/busybox:v1"

    def push(self, secret: str) -> subprocess.CompletedProcess[str]:
        """An image of the sandbox's registry, copied into the project."""
        argv = [
            "skopeo", "--insecure-policy", "copy", "--quiet", "--src-cert-dir", str(self.trust), "--src-no-creds",
            "--dest-cert-dir", str(self.trust), "--dest-creds", f"{self.robot}:{secret}",
            f"docker://{REGISTRY}/library/busybox:1", f"docker://{self.image}",
        ]  # fmt: skip
        return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)

    def ask(self, method: str, path: str, **body: Any) -> httpx.Response:
        self.harbor.cookies.clear()
        return self.harbor.request(method, f"{API}{path}", **body)


@pytest.fixture
def project(sandbox: Sandbox) -> Generator[Project, None, None]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    access = [{"resource": "repository", "action": action} for action in ("push", "pull")]
    permissions = [{"kind": "project", "namespace": name, "access": access}]
    robot = {"name": "builder", "level": "project", "duration": 1, "permissions": permissions}
    with connect(sandbox.paths) as harbor:
        harbor.post(f"{API}/projects", json={"project_name": name}).raise_for_status()
        harbor.cookies.clear()
        made = harbor.post(f"{API}/robots", json=robot).raise_for_status().json()
        project = Project(name, harbor, made["name"], made["secret"], sandbox.paths.registry_certificates)
        yield project
        project.ask("DELETE", f"/projects/{name}/repositories/tools%252Fbusybox")
        assert project.ask("DELETE", f"/projects/{name}").is_success


def test_a_robot_pushes_with_its_secret_and_with_no_other(project: Project) -> None:
    failed = project.push("wrong")
    assert failed.returncode != 0
    assert "unauthorized" in failed.stderr
    done = project.push(project.secret)
    assert done.returncode == 0, done.stderr
    image = project.ask("GET", f"/projects/{project.name}/repositories/tools%252Fbusybox/artifacts/v1").json()
    trust = ssl.create_default_context(cafile=project.trust / "ca.crt")
    address = f"https://{REGISTRY}/v2/{project.name}/tools/busybox/manifests/{image['digest']}"
    direct = httpx.get(address, verify=trust, headers={"Accept": image["manifest_media_type"]})
    assert direct.status_code == 200


def test_the_cluster_pulls_with_a_pull_secret_and_not_without(sandbox: Sandbox, project: Project) -> None:
    assert project.push(project.secret).returncode == 0
    core = client.CoreV1Api(sandbox.api())
    core.create_namespace({"metadata": {"name": project.name}})
    try:
        login = base64.b64encode(f"{project.robot}:{project.secret}".encode()).decode()
        data = {".dockerconfigjson": json.dumps({"auths": {HARBOR: {"auth": login}}})}
        secret = {"metadata": {"name": "pull"}, "type": "kubernetes.io/dockerconfigjson", "stringData": data}
        core.create_namespaced_secret(project.name, secret)
        for name, secrets in (("without", []), ("with", [{"name": "pull"}])):
            core.create_namespaced_pod(project.name, _pod(name, project.image, secrets))

        def missing(name: str, wanted: str) -> str:
            seen = core.read_namespaced_pod_status(name, project.name).status
            waiting = [
                state.state.waiting.message or "" for state in seen.container_statuses or () if state.state.waiting
            ]
            return "" if wanted in (seen.phase, *"".join(waiting).split()) else f"{name}: {seen.phase} {waiting}"

        for name, wanted in (("with", "Succeeded"), ("without", "401")):
            wait_until("pod", "run", lambda name=name, wanted=wanted: missing(name, wanted), seconds=SECONDS, remedy="")
    finally:
        core.delete_namespace(project.name)


def _pod(name: str, image: str, secrets: list[dict[str, str]]) -> dict[str, Any]:
    container = {"name": "tool", "image": image, "imagePullPolicy": "Always", "command": ["/bin/busybox", "true"]}
    spec = {"restartPolicy": "Never", "imagePullSecrets": secrets, "containers": [container]}
    return {"metadata": {"name": name}, "spec": {**spec, "automountServiceAccountToken": False}}


class _Receiver(http.server.BaseHTTPRequestHandler):
    """Slow at first, and then well."""

    received: list[dict[str, Any]]
    slow: threading.Event

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append(json.loads(body))
        if len(self.received) == 1:
            self.slow.wait(SLOWER_THAN_HARBOR_WAITS)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — its name is the base class's
        pass


def test_a_webhook_arrives_also_when_the_receiver_is_slow_at_first(project: Project) -> None:
    handler = type("Handler", (_Receiver,), {"received": [], "slow": threading.Event()})
    with http.server.ThreadingHTTPServer((str(HOST.ip), 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        target = {
            "type": "http",
            "address": f"http://{HOST.ip}:{server.server_port}/hook",
            "payload_format": "CloudEvents",
        }
        policy = {"name": "rebuild", "enabled": True, "event_types": ["PUSH_ARTIFACT"], "targets": [target]}
        assert project.ask("POST", f"/projects/{project.name}/webhook/policies", json=policy).status_code == 201
        assert project.push(project.secret).returncode == 0
        wait_until("Harbor", "deliver", lambda: "" if len(handler.received) > 1 else "once", seconds=SECONDS, remedy="")
        handler.slow.set()
        server.shutdown()
    first, second = handler.received[:2]
    assert first == second
    assert first["type"] == "harbor.artifact.pushed"
    assert first["operator"] == project.robot


def test_hubwrights_user_is_made_once_and_administers_nothing(sandbox: Sandbox) -> None:
    password = sandbox.paths.harbor_deployer.read_text().strip()
    with connect(sandbox.paths) as harbor:
        before = harbor.get(f"{API}/users").json()
        ensure_user(sandbox.paths)
        assert harbor.get(f"{API}/users").json() == before
        harbor.auth = ("hubwright", password)
        harbor.cookies.clear()
        assert harbor.get(f"{API}/quotas").status_code == 403
        assert harbor.get("/test/requests").status_code == 403
