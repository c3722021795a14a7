"""The phases oidc and keycloak against the real Keycloak: what they make, put back, leave alone, and how they fail."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, cast

import pytest
from keycloak import KeycloakAdmin
from kubernetes import client as kubernetes_client

from config.profiles import load_profile
from config.spec import Hub
from deployments.sandbox.addresses import KEYCLOAK_PORT, NODE_IP
from deployments.sandbox.realm import REALM
from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.fence import Fence
from tasks.core.objects import NAMESPACE, SECRET, WantedObject
from tasks.keycloak import phase
from tasks.keycloak.phase import (
    check_claims,
    ensure_client,
    ensure_client_secret,
    ensure_roles,
    look_at_keycloak,
)
from tasks.keycloak.plan import wanted_client
from tasks.oidc.client import read_provider
from tests.sandbox.conftest import Sandbox, admin_of, keycloak_writes

MANY = 120
"""More than a page of any of Keycloak's lists."""


class _Open:
    """A fence that is held for good."""

    waited = False

    def check(self) -> None: ...


FENCE = cast("Fence", _Open())


@pytest.fixture(scope="module")
def admin(sandbox: Sandbox) -> KeycloakAdmin:
    return admin_of(sandbox)


@pytest.fixture(autouse=True)
def _as_the_flows_run(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(sandbox.paths.kubeconfig))
    monkeypatch.chdir(sandbox.paths.clone)
    monkeypatch.setattr(phase, "get_run_logger", _Log)


class _Log:
    def info(self, *_words: object) -> None: ...
    def warning(self, *_words: object) -> None: ...


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


def _changed(hub: Hub, **identity: Any) -> Hub:
    return hub.model_copy(update={"identity": hub.identity.model_copy(update=identity)})


def _set_up(hub: Hub) -> None:
    ensure_client.fn(hub, FENCE)
    ensure_roles.fn(hub, FENCE)
    ensure_client_secret.fn(hub, FENCE)


def _client(admin: KeycloakAdmin, hub: Hub) -> dict[str, Any]:
    found = admin.get_client_id(hub.name)
    assert found
    return admin.get_client(found)


def test_the_first_run_makes_everything_and_the_second_writes_nothing(hub: Hub, admin: KeycloakAdmin) -> None:
    planned = look_at_keycloak.fn(hub)
    assert planned.problems == ()
    assert planned.secret_mark is None
    _set_up(hub)
    since = _now()
    _set_up(hub)
    assert keycloak_writes(admin, since, hub.name) == []
    again = look_at_keycloak.fn(hub)
    assert again.plan.empty
    assert again.secret_mark


def _now() -> int:
    """A moment, in milliseconds, to ask Keycloak about what came after it: both run on this machine."""
    return int(time.time() * 1000) + 1


def test_the_secret_is_kept_beside_the_hub_and_told_nowhere(hub: Hub, admin: KeycloakAdmin, sandbox: Sandbox) -> None:
    first = look_at_keycloak.fn(hub)
    _set_up(hub)
    secret = admin.get_client_secrets(_client(admin, hub)["id"])["value"]
    kept = sandbox.kubernetes.read(SECRET, "hubwright-oidc", hub.cluster.namespace)
    assert kept
    assert kept["data"].keys() == {"client_secret"}
    second = look_at_keycloak.fn(hub)
    assert secret not in f"{first}{second}"
    assert "Secret hubwright-oidc" in [change.what for change in first.plan]


def test_a_rotated_secret_is_noticed_and_followed(hub: Hub, admin: KeycloakAdmin) -> None:
    _set_up(hub)
    before = look_at_keycloak.fn(hub).secret_mark
    admin.generate_client_secrets(_client(admin, hub)["id"])
    look = look_at_keycloak.fn(hub)
    assert look.secret_mark != before
    assert [change.what for change in look.plan] == ["Secret hubwright-oidc data.client_secret"]
    assert ensure_client_secret.fn(hub, FENCE) == look.secret_mark
    assert look_at_keycloak.fn(hub).plan.empty


FIELDS = ("enabled", "consentRequired", "standardFlowEnabled", "implicitFlowEnabled", "directAccessGrantsEnabled",
          "serviceAccountsEnabled", "fullScopeAllowed", "frontchannelLogout", "redirectUris", "webOrigins", "rootUrl",
          "baseUrl", "attributes")  # fmt: skip


def test_every_field_that_drifted_is_shown_and_put_back_and_others_stay(hub: Hub, admin: KeycloakAdmin) -> None:
    _set_up(hub)
    seen, want = _client(admin, hub), wanted_client(hub)
    drifted: dict[str, Any] = {key: not want[key] for key in FIELDS if isinstance(want[key], bool)}
    drifted |= {"redirectUris": ["https://elsewhere/*"], "webOrigins": ["+"], "rootUrl": "https://x", "baseUrl": "/x"}
    drifted["attributes"] = {"pkce.code.challenge.method": "plain", "post.logout.redirect.uris": "+", "theirs": "kept"}
    admin.update_client(seen["id"], {**drifted, "clientId": hub.name, "description": "kept too"})
    shown = {change.what.split()[2].partition(".")[0] for change in look_at_keycloak.fn(hub).plan}
    assert shown == set(FIELDS)
    ensure_client.fn(hub, FENCE)
    after = _client(admin, hub)
    assert {key: after.get(key) for key in FIELDS if key != "attributes"} == {
        key: want[key] for key in FIELDS if key != "attributes"
    }
    assert after["attributes"].items() >= {**want["attributes"], "theirs": "kept"}.items()
    assert after["description"] == "kept too"
    assert look_at_keycloak.fn(hub).plan.empty


def test_mappers_that_drifted_are_put_back_and_others_stay(hub: Hub, admin: KeycloakAdmin) -> None:
    _set_up(hub)
    seen = _client(admin, hub)
    mappers = {mapper["name"]: mapper for mapper in seen["protocolMappers"]}
    roles = mappers["hub roles"]
    admin.update_client_mapper(seen["id"], roles["id"], {**roles, "config": {**roles["config"], "claim.name": "x"}})
    admin.remove_client_mapper(seen["id"], mappers["hub email"]["id"])
    own = {"name": "theirs", "protocol": "openid-connect", "protocolMapper": "oidc-full-name-mapper", "config": {}}
    admin.add_mapper_to_client(seen["id"], own)
    assert len(tuple(look_at_keycloak.fn(hub).plan)) == 2
    ensure_client.fn(hub, FENCE)
    assert {mapper["name"] for mapper in _client(admin, hub)["protocolMappers"]} == {*mappers, "theirs"}
    assert look_at_keycloak.fn(hub).plan.empty


def test_groups_get_their_roles_and_lose_what_they_should_not_have(hub: Hub, admin: KeycloakAdmin) -> None:
    _set_up(hub)
    seen = _client(admin, hub)
    group = admin.get_group_by_path(f"/{hub.name}")
    admin.assign_group_client_roles(group["id"], seen["id"], [admin.get_client_role(seen["id"], "admin")])
    [change] = look_at_keycloak.fn(hub).plan
    assert change.what == f"Role admin of group {hub.name}"
    ensure_roles.fn(hub, FENCE)
    assert [role["name"] for role in admin.get_group_client_roles(group["id"], seen["id"])] == ["user"]
    deep = admin.get_group_by_path(f"/{hub.name} über/a b/c")
    assert [role["name"] for role in admin.get_group_client_roles(deep["id"], seen["id"])] == ["gpu"]


def test_lists_longer_than_a_page_are_read_to_their_end(hub: Hub, admin: KeycloakAdmin) -> None:
    roles = {f"role-{index:03}": {"groups": [f"{hub.name} {index:03}/x"]} for index in range(MANY)}
    many = Hub.model_validate({**hub.model_dump(), "identity": {**hub.identity.model_dump(), "roles": roles}})
    _set_up(many)
    assert look_at_keycloak.fn(many).plan.empty
    assert len(admin.get_groups({"search": f"{hub.name} "})) == MANY


def test_a_run_killed_between_client_and_roles_is_run_again(hub: Hub) -> None:
    ensure_client.fn(hub, FENCE)
    assert {change.what.split()[0] for change in look_at_keycloak.fn(hub).plan} >= {"Client", "Role"}
    _set_up(hub)
    assert look_at_keycloak.fn(hub).plan.empty


def test_keycloak_itself_says_with_which_roles_people_would_arrive(hub: Hub) -> None:
    _set_up(hub)
    with pytest.raises(Permanent, match="hubwright-check would arrive with none in hub_roles") as wrong:
        check_claims.fn(hub)
    assert "hubwright-check-admin would arrive with none" in str(wrong.value)
    usual = _changed(hub, roles=load_profile("sandbox").roles)
    ensure_roles.fn(usual, FENCE)
    check_claims.fn(usual)


@pytest.mark.parametrize(
    ("kind", "said"), [({"protocol": "saml"}, "protocol saml"), ({"publicClient": True}, "is public")]
)
def test_somebody_elses_client_of_that_name_is_told_and_left_alone(
    hub: Hub, admin: KeycloakAdmin, kind: dict[str, Any], said: str
) -> None:
    admin.create_client({"clientId": hub.name, **kind})
    before = _client(admin, hub)
    look = look_at_keycloak.fn(hub)
    [problem] = [problem for problem in look.problems if problem.fatal]
    assert said in problem.found
    assert _client(admin, hub) == before


@pytest.fixture
def account(admin: KeycloakAdmin, tmp_path: Path) -> Generator[Callable[..., dict[str, Any]], None, None]:
    """Makes a deployer with these roles of realm-management; what of the identity to change for it."""
    made: list[str] = []

    def make(*roles: str) -> dict[str, Any]:
        name = f"deployer-{os.urandom(4).hex()}"
        client_id = admin.create_client({"clientId": name, "serviceAccountsEnabled": True, "publicClient": False})
        made.append(client_id)
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


def _deployed_by(hub: Hub, identity: dict[str, Any]) -> Hub:
    return Hub.model_validate({**hub.model_dump(), "identity": {**hub.identity.model_dump(), **identity}})


@pytest.mark.parametrize(
    ("roles", "fatal", "said"),
    [
        (("view-users", "manage-users"), True, "lacks the role manage-clients"),
        (("manage-clients",), False, "lacks the role view-users"),
        (("manage-clients", "view-users"), False, "may not create it"),
        (("manage-clients", "query-groups", "query-users"), False, "lacks the role view-users"),
    ],
)
def test_an_account_that_lacks_a_role_is_told_which(
    hub: Hub, account: Callable[..., dict[str, Any]], roles: tuple[str, ...], *, fatal: bool, said: str
) -> None:
    poor = _deployed_by(hub, account(*roles))
    problems = look_at_keycloak.fn(poor).problems
    assert any(said in problem.found for problem in problems)
    assert any(problem.fatal for problem in problems) is fatal


def test_an_account_that_may_not_make_groups_does_all_else(
    hub: Hub, admin: KeycloakAdmin, account: Callable[..., dict[str, Any]]
) -> None:
    poor = _deployed_by(hub, account("manage-clients", "view-users"))
    _set_up(poor)
    look = look_at_keycloak.fn(poor)
    assert look.plan.empty
    assert f"Group {hub.name}" in [problem.what for problem in look.problems]
    assert {role["name"] for role in admin.get_client_roles(_client(admin, hub)["id"])} == {"admin", "user", "gpu"}


def test_a_write_that_is_forbidden_names_the_role(hub: Hub, account: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(Permanent, match="lacks the role manage-clients"):
        ensure_client.fn(_deployed_by(hub, account("view-users")), FENCE)


def test_a_wrong_secret_is_told_without_it(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "wrong"
    file.write_text("hunter2")
    wrong = _deployed_by(hub, {"deployer": {"client_id": "hubwright", "client_secret": {"file": str(file)}}})
    with pytest.raises(Permanent, match=r"check identity\.deployer") as error:
        look_at_keycloak.fn(wrong)
    assert "hunter2" not in str(error.value)


def test_a_realm_that_is_not_there_and_a_ca_that_is_not_the_right_one(hub: Hub) -> None:
    identity = cast("Any", hub.identity)
    with pytest.raises(Permanent, match="no such issuer or realm"):
        read_provider(identity.model_copy(update={"issuer": identity.issuer.replace(REALM, "nowhere")}))
    by_address = identity.issuer.replace("keycloak.example.internal", NODE_IP)
    with pytest.raises(Permanent, match="calls itself"):
        read_provider(identity.model_copy(update={"issuer": by_address, "address": None}))
    untrusted = identity.model_copy(update={"ca": None})
    with pytest.raises(Permanent, match="certificate is not trusted"):
        read_provider(untrusted)
    with pytest.raises(Permanent, match="certificate is not trusted"):
        look_at_keycloak.fn(_changed(hub, ca=None))


class _Gate:
    """A way to Keycloak that can be shut: connections are then refused, and open ones cut."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.shut = threading.Event()
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            if self.shut.is_set():
                near.close()
                continue
            far = socket.create_connection((NODE_IP, KEYCLOAK_PORT), timeout=10)
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        one.settimeout(0.1)
        while not self.shut.is_set():
            try:
                data = one.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            if not data:
                break
            other.sendall(data)
        for side in (one, other):
            side.close()

    def close(self) -> None:
        self.shut.set()
        self._server.close()


@pytest.fixture
def gate(hub: Hub) -> Generator[tuple[_Gate, Hub], None, None]:
    gate = _Gate()
    issuer = cast("Any", hub.identity).issuer.replace(f":{KEYCLOAK_PORT}", f":{gate.port}")
    yield gate, _changed(hub, issuer=issuer, address="127.0.0.1")
    gate.close()


def test_a_read_waits_for_a_keycloak_that_is_being_restarted(gate: tuple[_Gate, Hub]) -> None:
    door, hub = gate
    door.shut.set()
    threading.Timer(3, door.shut.clear).start()
    assert look_at_keycloak.fn(hub).problems == ()
    assert door.connections > 1


def test_a_write_that_is_cut_may_be_tried_again_and_then_goes_on(gate: tuple[_Gate, Hub], admin: KeycloakAdmin) -> None:
    door, hub = gate
    ensure_client.fn(hub, FENCE)
    door.shut.set()
    with pytest.raises(Transient, match="cannot be reached"):
        ensure_roles.fn(hub, FENCE)
    door.shut.clear()
    ensure_roles.fn(hub, FENCE)
    assert len(admin.get_client_roles(_client(admin, hub)["id"])) == 3


def test_a_keycloak_that_stays_away_ends_the_waiting(gate: tuple[_Gate, Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    door, hub = gate
    door.shut.set()
    patient = phase.ask_patiently
    monkeypatch.setattr(phase, "ask_patiently", lambda ask, say: patient(ask, say, seconds=1, every=0.2))
    with pytest.raises(HubError, match="not within 1 s"):
        look_at_keycloak.fn(hub)
