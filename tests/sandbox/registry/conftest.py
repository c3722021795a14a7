"""A hub of each test's own, with a project of its own in the sandbox's Harbor."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from kubernetes import client as kubernetes_client

from config.profiles import load_profile
from config.spec import Hub
from deployments.sandbox.addresses import HARBOR, REGISTRY
from deployments.sandbox.harbor.operations import DEPLOYER, connect
from tasks.core.fence import Fence
from tasks.core.login import Login
from tasks.core.objects import NAMESPACE, SECRET, WantedObject
from tasks.registry import images, phase, removal, scan
from tasks.registry.phase import ensure_policies, ensure_project, ensure_robots
from tasks.registry.state import Kind, kept_credential, place_of
from tests.contract.registries import push
from tests.sandbox.conftest import Sandbox

API = "/api/v2.0"
REPOSITORY = "tools/notebook"
ESCAPED = "tools%252Fnotebook"
SECONDS = 60.0
READS = ("GET", "HEAD")
FENCE = cast("Fence", SimpleNamespace(check=lambda: None))
"""A fence that is held for good."""


class Log:
    """What a task said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, text: str, *words: object) -> None:
        self.said.append(text % words if words else text)

    warning = info


@dataclass(frozen=True)
class Admin:
    """Harbor as its administrator, whom no flow knows, and its doors for tests."""

    http: httpx.Client

    def ask(self, method: str, path: str, **body: Any) -> httpx.Response:
        self.http.cookies.clear()
        return self.http.request(method, path, **body).raise_for_status()

    def api(self, method: str, path: str, **body: Any) -> Any:
        answer = self.ask(method, API + path, **body)
        return answer.json() if answer.content else None

    def set(self, **settings: Any) -> None:
        self.ask("PUT", "/test/settings", json=settings)

    def fault(self, path: str, status: int, **more: Any) -> None:
        """Requests to such a path are answered so."""
        self.ask("POST", "/test/faults", json={"path": path, "status": status, **more})

    def requests(self, since: float) -> list[str]:
        """What Hubwright asked."""
        rows = self.ask("GET", "/test/requests", params={"since": since}).json()
        return [f"{row['method']} {row['path']}" for row in rows if row["caller"] in (DEPLOYER, "")]

    def writes(self, since: float) -> list[str]:
        """What Hubwright wrote."""
        return [asked for asked in self.requests(since) if asked.partition(" ")[0] not in READS]

    def robots(self, hub: Hub) -> dict[str, dict[str, Any]]:
        """The project's robots by name, without what stands before it."""
        number = self.api("GET", f"/projects/{place_of(hub).project}")["project_id"]
        found = self.api("GET", "/robots", params={"q": f"Level=project,ProjectID={number}", "page_size": 100})
        return {robot["name"].rpartition("+")[2]: robot for robot in found}

    def push(self, hub: Hub, tag: str, layer: bytes) -> str:
        """An image that differs from others by its layer; returns its digest."""
        self.http.cookies.clear()
        answer = push(self.http, place_of(hub).path, tag, layer)
        assert answer.status_code == 201, answer.text
        return answer.headers["Docker-Content-Digest"]

    def remove_project(self, name: str) -> None:
        """The project and what is in it are gone."""
        if not self.api("GET", "/projects", params={"name": name}):
            return
        for rule in self.api("GET", f"/projects/{name}/immutabletagrules"):
            self.ask("DELETE", f"{API}/projects/{name}/immutabletagrules/{rule['id']}")
        for repository in self.api("GET", f"/projects/{name}/repositories"):
            escaped = repository["name"].partition("/")[2].replace("/", "%252F")
            self.ask("DELETE", f"{API}/projects/{name}/repositories/{escaped}")
        self.ask("DELETE", f"{API}/projects/{name}")


@pytest.fixture(scope="module")
def admin(sandbox: Sandbox) -> Generator[Admin, None, None]:
    with connect(sandbox.paths) as http:
        yield Admin(http)


@pytest.fixture(autouse=True)
def log(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Log:
    """Tasks run as in a flow, and say what they say here."""
    log = Log()
    monkeypatch.setenv("KUBECONFIG", str(sandbox.paths.kubeconfig))
    monkeypatch.chdir(sandbox.paths.clone)
    for module in (phase, images, removal, scan):
        monkeypatch.setattr(module, "get_run_logger", lambda: log)
    return log


@pytest.fixture
def hub(sandbox: Sandbox, admin: Admin) -> Generator[Hub, None, None]:
    """A hub with a namespace, and a project that is not there yet."""
    name = f"test-{os.urandom(4).hex()}"
    yield new_hub(sandbox, name, name)
    admin.remove_project(name)
    kubernetes_client.CoreV1Api(sandbox.api()).delete_namespace(name)


@pytest.fixture
def ready(hub: Hub) -> Hub:
    """The same, and Harbor is set up for it."""
    set_up(hub)
    return hub


def new_hub(sandbox: Sandbox, name: str, project: str, repository: str = REPOSITORY) -> Hub:
    """A hub with a namespace of its own, and its image in a project."""
    sandbox.kubernetes.ensure(WantedObject(NAMESPACE, name, None))
    whole = load_profile("sandbox-iav-v1").model_dump()
    whole["name"] = name
    whole["cluster"]["namespace"] = name
    whole["image"]["reference"] = f"{HARBOR}/{project}/{repository}:v1"
    password = {"file": str(sandbox.paths.harbor_deployer)}
    whole["registry"] = {"ca": str(sandbox.paths.ca), "harbor": {"user": DEPLOYER, "password": password}}
    return Hub.model_validate(whole)


def changed(hub: Hub, **harbor: Any) -> Hub:
    """The hub, with parts of its Harbor as a profile would write them."""
    whole = hub.model_dump()
    whole["registry"]["harbor"] |= harbor
    return Hub.model_validate(whole)


def set_up(hub: Hub) -> list[str]:
    """All of this phase that writes; returns what changed."""
    parts = (ensure_project.fn(hub, FENCE), ensure_robots.fn(hub, FENCE), ensure_policies.fn(hub, FENCE))
    return [str(change) for plan in parts for change in plan]


def login_of(sandbox: Sandbox, hub: Hub, kind: Kind) -> Login:
    """What a robot's Secret keeps."""
    body = sandbox.kubernetes.read(SECRET, kind.secret, hub.cluster.namespace)
    found = kept_credential(kind, body, HARBOR)
    assert found
    return found


def copy(sandbox: Sandbox, hub: Hub, login: Login) -> subprocess.CompletedProcess[str]:
    """An image of the sandbox's registry, copied by skopeo to where the hub's image is."""
    trust, secret = sandbox.paths.registry_certificates, login.secret.get_secret_value()
    auth = base64.b64encode(f"{login.user}:{secret}".encode()).decode()
    file = sandbox.paths.state / f"{hub.name}.auth.json"
    file.touch(0o600)
    file.write_text(json.dumps({"auths": {HARBOR: {"auth": auth}}}))
    argv = [
        "skopeo", "--insecure-policy", "copy", "--quiet", "--src-cert-dir", str(trust), "--src-no-creds",
        "--dest-cert-dir", str(trust), "--dest-authfile", str(file),
        f"docker://{REGISTRY}/library/busybox:1", f"docker://{hub.image.reference}",
    ]  # fmt: skip
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)
    finally:
        file.unlink()


def now() -> float:
    """From here on, as Harbor's stand-in counts."""
    return time.time()
