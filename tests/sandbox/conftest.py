"""The running sandbox, and the flows in it as a user runs them: by their command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from keycloak import KeycloakAdmin
from kubernetes import client, config

from deployments.sandbox.addresses import HOSTS_DOMAIN, REGISTRY
from deployments.sandbox.contents import tls_secret
from deployments.sandbox.environment import sandbox_environment
from deployments.sandbox.paths import CLONE, Paths
from deployments.sandbox.probes import connect
from deployments.sandbox.realm import DEPLOYER, REALM
from deployments.sandbox.realm import connect as connect_keycloak
from deployments.sandbox.status import as_document, read_status
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import NAMESPACE, WantedObject
from tests.sandbox.audit import Audit

DEPLOY_SECONDS = 300
PASSWORD_BYTES = 16
RELEASE = "jupyterhub"
TLS_SECRET = "jupyterhub-tls"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    def done(self) -> Ended:
        """Itself, which ended well."""
        assert self.code == 0, self.stderr[-3000:]
        return self

    @property
    def result(self) -> dict[str, Any]:
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Sandbox:
    """What a test needs of the sandbox."""

    paths: Paths
    environment: Mapping[str, str]
    document: Mapping[str, Any]
    audit: Audit
    kubernetes: Kubernetes = field(repr=False)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "flows", *words]

    def flows(self, *words: str, env: Mapping[str, str] | None = None) -> Ended:
        """Run `python -m flows` to its end, with more in its environment."""
        return self.python("flows", *words, env=env)

    def python(
        self, module: str, *words: str, env: Mapping[str, str] | None = None, seconds: float = DEPLOY_SECONDS
    ) -> Ended:
        """Run a module of ours to its end, with more in its environment."""
        done = subprocess.run(
            [sys.executable, "-m", module, *words], cwd=CLONE, env={**self.environment, **(env or {})},
            capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    def api(self) -> client.ApiClient:
        """The cluster as somebody else than Hubwright uses it."""
        return config.new_client_from_config(str(self.paths.kubeconfig))

    def history(self, profile: Profile) -> list[dict[str, Any]]:
        """The revisions of a profile's release, oldest first; empty while there is none."""
        try:
            found = self.helm(profile.namespace, "history", RELEASE)
        except subprocess.CalledProcessError:
            return []
        return sorted(found, key=lambda entry: entry["revision"])

    def kill_in(self, profile: Profile, status: str) -> None:
        """Start a deploy, and kill it with its Helm as soon as the release's newest revision has a status."""
        running = subprocess.Popen(
            self.command("deploy", str(profile)), cwd=CLONE, env=self.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + DEPLOY_SECONDS
        while [entry["status"] for entry in self.history(profile)][-1:] != [status]:
            assert time.monotonic() < deadline
            assert running.poll() is None
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        assert self.history(profile)[-1]["status"] == status

    def helm(self, namespace: str, *words: str) -> Any:
        """What a Helm query answers, as JSON."""
        argv = ["helm", *words, "--namespace", namespace, "--output", "json"]
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)


@dataclass
class Profile:
    """A profile of a test's own, which the test may change."""

    path: Path
    namespace: str
    password: Path
    text: dict[str, Any]

    def change(self, **parts: Any) -> None:
        """Merge parts into the profile's file."""
        for name, part in parts.items():
            self.text[name] = {**self.text.get(name, {}), **part} if isinstance(part, dict) else part
        self.path.write_text(json.dumps(self.text))  # JSON is YAML

    def __str__(self) -> str:
        return str(self.path)


def open_sandbox() -> Sandbox:
    """The sandbox, which must be up."""
    paths = Paths()
    parts = read_status(paths)
    missing = [f"{part.name}: {part.detail}" for part in parts if not part.healthy]
    assert not missing, f"run `make up` first: {missing}"
    environment = sandbox_environment(paths)
    document = as_document(paths, parts)
    return Sandbox(paths, environment, document, Audit(paths.audit_log), connect(paths.kubeconfig))


BASE_NOTEBOOK = f"{REGISTRY}/iav/base-notebook:v1"
"""What the sandbox has of notebook images before one is built."""


def new_profile(sandbox: Sandbox, folder: Path, namespace: str) -> Profile:
    """A profile for a hub in a namespace of its own, and what operations bring there beforehand."""
    password = folder / f"{namespace}.password"
    password.write_text(f"marker-{os.urandom(PASSWORD_BYTES).hex()}\n")
    operations_part(sandbox, namespace)
    own = Profile(folder / f"{namespace}.yaml", namespace, password, {"extends": "sandbox-iav-v1", "name": namespace})
    own.change(
        cluster={"namespace": namespace},
        identity={"password": {"file": str(password)}},
        release={"node_port": None, "timeout": "60s"},
        ingress={"host": f"{namespace}.{HOSTS_DOMAIN}"},
    )
    return own


def new_thinkube(sandbox: Sandbox, folder: Path, namespace: str) -> Profile:
    """A profile for a hub with a client of its own at the sandbox's Keycloak, and what operations bring beforehand.

    Its image is one that is there from the start: nothing is built for it, and nothing set up in Harbor.
    """
    operations_part(sandbox, namespace)
    own = Profile(
        folder / f"{namespace}.yaml", namespace, sandbox.paths.keycloak_users, {"extends": "sandbox", "name": namespace}
    )
    own.change(
        cluster={"namespace": namespace},
        registry={"harbor": None},
        image={"reference": BASE_NOTEBOOK, "build": None},
        identity={"client_id": namespace},
        release={"timeout": "60s"},
        ingress={"host": f"{namespace}.{HOSTS_DOMAIN}"},
    )
    return own


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return open_sandbox()


@pytest.fixture(scope="session")
def demo_image(sandbox: Sandbox) -> dict[str, Any]:
    """The image of the demo's hub, of the lists that come along, is in Harbor; what the flow ended with."""
    ended = sandbox.flows("rebuild-image", "sandbox", "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    return ended.result


@pytest.fixture
def keycloak_admin(sandbox: Sandbox) -> KeycloakAdmin:
    """The realm as its administrator, whom no flow knows: to arrange things, and to look behind Hubwright's back."""
    return admin_of(sandbox)


def admin_of(sandbox: Sandbox) -> KeycloakAdmin:
    """The realm's administrator."""
    admin = connect_keycloak(sandbox.paths)
    admin.change_current_realm(REALM)
    return admin


def keycloak_writes(admin: KeycloakAdmin, since: int, client: str) -> list[str]:
    """What Hubwright's account wrote to the realm since a moment (milliseconds) about one client, or about groups."""
    deployer = admin.get_client_id(DEPLOYER)
    events = admin.connection.raw_get(
        f"/admin/realms/{REALM}/admin-events", dateFrom=since, max=1000, authClient=deployer
    ).json()
    own = admin.get_client_id(client) or "clients"
    return [
        f"{event['operationType']} {event['resourcePath']}"
        for event in events
        if event["time"] >= since and (own in event["resourcePath"] or event["resourcePath"].startswith("groups"))
    ]


@pytest.fixture(scope="module")
def profile(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Generator[Profile, None, None]:
    """A hub of the module's own beside that of the demo; its namespace is deleted afterwards."""
    own = new_profile(sandbox, tmp_path_factory.mktemp("profile"), f"test-{os.urandom(4).hex()}")
    yield own
    client.CoreV1Api(sandbox.api()).delete_namespace(own.namespace)


def operations_part(sandbox: Sandbox, namespace: str) -> None:
    """What operations bring before a hub comes: a namespace, with a certificate for its host."""
    sandbox.kubernetes.ensure(WantedObject(NAMESPACE, namespace, None))
    sandbox.kubernetes.ensure(tls_secret(sandbox.paths, TLS_SECRET, namespace))
