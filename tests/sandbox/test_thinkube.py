"""A hub that people sign in to with Keycloak, deployed as a user does it, and met as its users meet it."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from keycloak import KeycloakAdmin
from kubernetes import client

from config.identity import KeycloakIdentity
from config.profiles import load_profile
from tasks.core.errors import HubError
from tasks.core.objects import CLAIM, POD
from tasks.validation.entry import Entry
from tests.sandbox.conftest import Profile, Sandbox, admin_of, keycloak_writes, new_thinkube
from tests.sandbox.people import password_of, pods_of, session_of, start

FORGERIES = 6
"""One more than the chart's own hub takes before it exits."""


@pytest.fixture(scope="module")
def thinkube(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Generator[Profile, None, None]:
    """A deployed hub of the module's own; its namespace and client are deleted afterwards."""
    own = new_thinkube(sandbox, tmp_path_factory.mktemp("profile"), f"test-{os.urandom(4).hex()}")
    ended = sandbox.flows("deploy", str(own), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    assert [check["name"] for check in ended.result["record"]["checks"] if not check["passed"]] == []
    yield own
    admin = admin_of(sandbox)
    client_id = admin.get_client_id(own.namespace)
    if client_id:
        admin.delete_client(client_id)
    client.CoreV1Api(sandbox.api()).delete_namespace(own.namespace)


@pytest.fixture
def admin(sandbox: Sandbox) -> KeycloakAdmin:
    return admin_of(sandbox)


def _limits(pod: dict[str, Any]) -> tuple[str, str]:
    limits = pod["spec"]["containers"][0]["resources"]["limits"]
    return limits["cpu"], limits["memory"]


def _system(sandbox: Sandbox, thinkube: Profile) -> dict[str, str]:
    """Hub and proxy, each by which pod runs."""
    found = sandbox.kubernetes.list(POD, thinkube.namespace, "component in (hub, proxy)")
    return {pod["metadata"]["labels"]["component"]: pod["metadata"]["uid"] for pod in found}


def test_the_second_deploy_writes_nothing_anywhere(sandbox: Sandbox, thinkube: Profile, admin: KeycloakAdmin) -> None:
    before, pods = sandbox.history(thinkube), _system(sandbox, thinkube)
    since, moment = sandbox.audit.now(), int(time.time() * 1000)
    ended = sandbox.flows("deploy", str(thinkube), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    assert ended.result["plan"] == []
    assert sandbox.audit.writes(since, thinkube.namespace, ("hubwright", "Helm")) == []
    assert keycloak_writes(admin, moment, thinkube.namespace) == []
    assert (sandbox.history(thinkube), _system(sandbox, thinkube)) == (before, pods)


def test_an_edit_by_hand_in_keycloak_is_drift_and_the_next_deploy_takes_it_back(
    sandbox: Sandbox, thinkube: Profile, admin: KeycloakAdmin
) -> None:
    client_id = admin.get_client_id(thinkube.namespace)
    assert client_id
    edited = {**admin.get_client(client_id), "directAccessGrantsEnabled": True}
    admin.update_client(client_id, {key: value for key, value in edited.items() if key != "secret"})
    looked = sandbox.flows("deploy", str(thinkube), "--plan-only", "--json")
    assert looked.code == 2
    assert [change["what"] for change in looked.result["plan"]] == [
        f"Client {thinkube.namespace} directAccessGrantsEnabled"
    ]
    assert sandbox.flows("deploy", str(thinkube)).code == 0
    assert admin.get_client(client_id)["directAccessGrantsEnabled"] is False


def test_a_rotated_secret_restarts_the_hub_and_not_the_proxy(
    sandbox: Sandbox, thinkube: Profile, admin: KeycloakAdmin
) -> None:
    client_id, before = admin.get_client_id(thinkube.namespace), _system(sandbox, thinkube)
    assert client_id
    secret = admin.generate_client_secrets(client_id)["value"]
    ended = sandbox.flows("deploy", str(thinkube), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    after = _system(sandbox, thinkube)
    assert after["hub"] != before["hub"]
    assert after["proxy"] == before["proxy"]
    assert secret not in ended.stdout + ended.stderr


@pytest.mark.parametrize(("user", "limits"), [("alice", ("2", "2147483648")), ("bob", ("1", "1073741824"))])
def test_a_users_pod_has_what_their_role_allows(
    sandbox: Sandbox, thinkube: Profile, user: str, limits: tuple[str, str]
) -> None:
    with closing(session_of(thinkube, user)) as session:
        assert session.sign_in(password_of(sandbox)) is Entry.IN
        start(session, mem_limit="64G", profile="standard")
        [pod] = pods_of(sandbox, thinkube, user)
        assert _limits(pod) == limits
        idle = [word for word in pod["spec"]["containers"][0].get("args", ()) if "shutdown_no_activity" in word]
        assert idle == ([] if user == "alice" else ["--ServerApp.shutdown_no_activity_timeout=3600"])
        session.stop_server()


def test_forged_choices_give_nothing_and_leave_the_hub_well(sandbox: Sandbox, thinkube: Profile) -> None:
    before = _system(sandbox, thinkube)
    with closing(session_of(thinkube, "bob")) as session:
        session.sign_in(password_of(sandbox))
        for _ in range(FORGERIES):
            with pytest.raises(HubError):
                start(session, profile="gpu")
        assert session.read_unhealthy() == ""
        assert pods_of(sandbox, thinkube, "bob") == []
        start(session)
        session.stop_server()
    assert _system(sandbox, thinkube) == before


def test_who_has_no_role_does_not_get_in(sandbox: Sandbox, thinkube: Profile) -> None:
    with closing(session_of(thinkube, "mallory")) as session:
        assert session.sign_in(password_of(sandbox)) is Entry.NOT_ALLOWED
        assert session.read_page("/hub/home") in (403, 200)
        with pytest.raises(HubError):
            start(session)


def test_a_role_that_was_taken_away_counts_at_the_next_start(
    sandbox: Sandbox, thinkube: Profile, admin: KeycloakAdmin
) -> None:
    user = admin.get_user_id("bob")
    group = admin.get_group_by_path("/hub-users")["id"]
    assert user
    with closing(session_of(thinkube, "bob")) as session:
        session.sign_in(password_of(sandbox))
        admin.group_user_remove(user, group)
        try:
            with pytest.raises(HubError):
                start(session)
            assert pods_of(sandbox, thinkube, "bob") == []
        finally:
            admin.group_user_add(user, group)
        start(session)
        session.stop_server()


def test_the_same_keycloak_as_a_provider_that_is_only_used(
    sandbox: Sandbox, thinkube: Profile, admin: KeycloakAdmin, tmp_path: Path
) -> None:
    """Kind oidc, with a client that the realm's owner made; nothing is written to the provider."""
    hub = load_profile(str(thinkube))
    assert isinstance(hub.identity, KeycloakIdentity)
    client_id = admin.get_client_id(thinkube.namespace)
    assert client_id
    secret = tmp_path / "secret"
    secret.write_text(admin.get_client_secrets(client_id)["value"])
    roles = {name: role.model_dump(exclude={"groups"}, mode="json") for name, role in hub.identity.roles.items()}
    plain = Profile(tmp_path / "oidc.yaml", thinkube.namespace, secret, {"extends": str(thinkube.path)})
    plain.change(
        identity={"kind": "oidc", "deployer": None, "client_secret": {"file": str(secret)}}
        | {"roles": {name: {**role, "groups": None} for name, role in roles.items()}}
    )
    moment, claims = int(time.time() * 1000), sandbox.kubernetes.list(CLAIM, thinkube.namespace)
    ended = sandbox.flows("deploy", str(plain), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    assert keycloak_writes(admin, moment, thinkube.namespace) == []
    again = sandbox.flows("deploy", str(plain), "--plan-only", "--json")
    assert (again.code, again.result["plan"]) == (0, [])
    assert {claim["metadata"]["uid"] for claim in sandbox.kubernetes.list(CLAIM, thinkube.namespace)} >= {
        claim["metadata"]["uid"] for claim in claims
    }
