"""A hub of each test's own at the sandbox's Keycloak, and accounts to deploy it by."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from keycloak import KeycloakAdmin
from kubernetes import client as kubernetes_client

from config.profiles import load_profile
from config.spec import Hub
from tasks.core.fence import Fence
from tasks.core.objects import NAMESPACE, WantedObject
from tasks.keycloak import phase
from tasks.keycloak.phase import ensure_client, ensure_client_secret, ensure_roles
from tests.sandbox.conftest import Sandbox, admin_of
from tests.sandbox.keycloak.front import Front

FENCE = cast("Fence", SimpleNamespace(check=lambda: None))
"""A fence that is held for good."""


class Log:
    """What a task said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, text: str, *words: object) -> None:
        self.said.append(text % words)

    warning = info


@pytest.fixture(scope="module")
def admin(sandbox: Sandbox) -> KeycloakAdmin:
    """The realm's administrator, whom no flow knows."""
    return admin_of(sandbox)


@pytest.fixture(autouse=True)
def log(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Log:
    """Tasks run as in a flow, and say what they say here."""
    log = Log()
    monkeypatch.setenv("KUBECONFIG", str(sandbox.paths.kubeconfig))
    monkeypatch.chdir(sandbox.paths.clone)
    monkeypatch.setattr(phase, "get_run_logger", lambda: log)
    return log


@pytest.fixture
def hub(sandbox: Sandbox, admin: KeycloakAdmin) -> Generator[Hub, None, None]:
    """A hub with a client and a namespace of its own, and groups that no other has."""
    name = f"test-{os.urandom(4).hex()}"
    sandbox.kubernetes.ensure(WantedObject(NAMESPACE, name, None))
    whole = load_profile("sandbox").model_dump()
    whole["name"] = name
    whole["cluster"]["namespace"] = name
    whole["identity"]["client_id"] = name
    whole["ingress"]["host"] = f"{name}.example.internal"
    for role, groups in (("admin", []), ("user", [name]), ("gpu", [f"/{name} über/a b/c"])):
        whole["identity"]["roles"][role]["groups"] = groups
    yield Hub.model_validate(whole)
    client_id = admin.get_client_id(name)
    if client_id:
        admin.delete_client(client_id)
    for group in admin.get_groups({"search": name}):
        admin.delete_group(group["id"])
    kubernetes_client.CoreV1Api(sandbox.api()).delete_namespace(name)


@pytest.fixture
def front(sandbox: Sandbox) -> Generator[Front, None, None]:
    """Something in front of Keycloak, at an address of its own."""
    front = Front(sandbox.paths)
    yield front
    front.close()


@pytest.fixture
def account(admin: KeycloakAdmin, tmp_path: Path) -> Generator[Callable[..., dict[str, Any]], None, None]:
    """Makes a deployer with these roles of realm-management; what of the identity to change for it."""
    made: list[str] = []

    def make(*roles: str, **client: Any) -> dict[str, Any]:
        name = f"deployer-{os.urandom(4).hex()}"
        payload = {"clientId": name, "serviceAccountsEnabled": True, "publicClient": False, **client}
        client_id = admin.create_client(payload)
        made.append(client_id)
        if payload["serviceAccountsEnabled"]:
            management = admin.get_client_id("realm-management")
            assert management
            user = admin.get_client_service_account_user(client_id)["id"]
            admin.assign_client_role(user, management, [admin.get_client_role(management, role) for role in roles])
        file = tmp_path / name
        file.write_text(admin.get_client_secrets(client_id)["value"])
        return {"deployer": {"client_id": name, "client_secret": {"file": str(file)}}}

    yield make
    for client_id in made:
        admin.delete_client(client_id)


def changed(hub: Hub, **identity: Any) -> Hub:
    """The hub, with parts of its identity as a profile would write them."""
    return Hub.model_validate({**hub.model_dump(), "identity": {**hub.identity.model_dump(), **identity}})


def set_up(hub: Hub) -> None:
    """The whole phase."""
    ensure_client.fn(hub, FENCE)
    ensure_roles.fn(hub, FENCE)
    ensure_client_secret.fn(hub, FENCE)


def client_of(admin: KeycloakAdmin, hub: Hub) -> dict[str, Any]:
    """The hub's client as its administrator sees it."""
    found = admin.get_client_id(hub.name)
    assert found
    return admin.get_client(found)
