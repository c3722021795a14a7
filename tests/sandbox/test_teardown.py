"""Taking a hub down for real: what stays, what a later deploy finds, and what goes when told so twice."""

from __future__ import annotations

from contextlib import closing

import pytest
from keycloak import KeycloakAdmin
from kubernetes import client
from pydantic import SecretStr

from config.profiles import load_profile
from deployments.sandbox.paths import CLONE
from tasks.core.address import Address
from tasks.core.objects import CLAIM, CONFIG_MAP, DEPLOYMENT, POD, ROLE, SECRET, SERVICE_ACCOUNT
from tasks.core.records import LABEL
from tasks.validation.client import UserSession
from tests.sandbox.conftest import RELEASE, TLS_SECRET, Ended, Profile, Sandbox, new_thinkube

USER = "ada"


@pytest.fixture(scope="module")
def hub(sandbox: Sandbox, profile: Profile) -> Profile:
    """A hub with a user who has a server, and a file in it."""
    _ended_well(sandbox.flows("deploy", str(profile), "--json"))
    with closing(_user(profile)) as user:
        user.start_server(120, lambda _text: None, lambda: None)
        user.run_code("open('/home/jovyan/precious', 'w').write('precious')")
    return profile


def test_without_the_hubs_name_the_plan_is_all(sandbox: Sandbox, hub: Profile) -> None:
    start = sandbox.audit.now()
    ended = sandbox.flows("teardown", str(hub), "--json")
    assert ended.code == 2
    deleted = [one["what"] for one in ended.result["plan"]]
    assert f"Release {RELEASE}" in deleted
    assert not [what for what in deleted if what.startswith("PersistentVolumeClaim")]
    assert sandbox.audit.writes(start, hub.namespace, ("hubwright", "Helm")) == []


def test_a_wrong_name_touches_nothing(sandbox: Sandbox, hub: Profile) -> None:
    start = sandbox.audit.now()
    assert sandbox.flows("teardown", str(hub), "--confirm", "another").code == 1
    assert sandbox.audit.writes(start, hub.namespace, ("hubwright", "Helm")) == []


def test_the_hub_goes_and_its_volumes_stay(sandbox: Sandbox, hub: Profile) -> None:
    claims = _uids(sandbox, hub)
    _ended_well(sandbox.flows("teardown", str(hub), "--confirm", hub.namespace, "--json"))
    kubernetes, namespace = sandbox.kubernetes, hub.namespace
    assert _uids(sandbox, hub) == claims
    assert {"hub-db-dir", "jupyterhub-shared-home", f"claim-{USER}"} <= claims.keys()
    assert [kubernetes.list(kind, namespace) for kind in (DEPLOYMENT, ROLE)] == [(), ()]
    assert kubernetes.list(POD, namespace, "component=singleuser-server") == ()
    assert kubernetes.list(CONFIG_MAP, namespace, LABEL) == ()
    assert "jupyterhub-sa" not in [one["metadata"]["name"] for one in kubernetes.list(SERVICE_ACCOUNT, namespace)]
    assert {one["metadata"]["name"] for one in kubernetes.list(SECRET, namespace)} == {TLS_SECRET, "hubwright-keys"}
    assert _ended_well(sandbox.flows("teardown", str(hub), "--confirm", namespace, "--json")).result["plan"] == []


def test_a_later_deploy_finds_users_and_files(sandbox: Sandbox, hub: Profile) -> None:
    _ended_well(sandbox.flows("deploy", str(hub), "--json"))
    with closing(_user(hub)) as user:
        user.start_server(120, lambda _text: None, lambda: None)
        assert user.run_code("print(open('/home/jovyan/precious').read())").split() == ["precious"]


def test_told_twice_the_volumes_go_too(sandbox: Sandbox, hub: Profile) -> None:
    words = ("--confirm", hub.namespace, "--volumes", hub.namespace, "--json")
    _ended_well(sandbox.flows("teardown", str(hub), *words))
    left = [one for one in sandbox.kubernetes.list(CLAIM, hub.namespace) if "deletionTimestamp" not in one["metadata"]]
    assert left == []
    assert {one["metadata"]["name"] for one in sandbox.kubernetes.list(SECRET, hub.namespace)} == {TLS_SECRET}


def test_the_client_goes_and_groups_stay(
    sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, keycloak_admin: KeycloakAdmin
) -> None:
    own = new_thinkube(sandbox, tmp_path_factory.mktemp("profile"), "test-teardown")
    try:
        _ended_well(sandbox.flows("deploy", str(own), "--json"))
        groups = {group["name"] for group in keycloak_admin.get_groups()}
        assert keycloak_admin.get_client_id(own.namespace)
        _ended_well(sandbox.flows("teardown", str(own), "--confirm", own.namespace, "--json"))
        assert keycloak_admin.get_client_id(own.namespace) is None
        assert {group["name"] for group in keycloak_admin.get_groups()} == groups
    finally:
        client.CoreV1Api(sandbox.api()).delete_namespace(own.namespace)


def _ended_well(ended: Ended) -> Ended:
    assert ended.code == 0, ended.stderr[-3000:]
    return ended


def _user(profile: Profile) -> UserSession:
    found = Address.of(load_profile(str(profile)))
    session = UserSession(Address(found.url, str(CLONE / str(found.ca)), found.ip), USER)
    session.sign_in(SecretStr(profile.password.read_text().strip()))
    return session


def _uids(sandbox: Sandbox, profile: Profile) -> dict[str, str]:
    found = sandbox.kubernetes.list(CLAIM, profile.namespace)
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in found}
