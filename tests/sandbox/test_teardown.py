"""Taking a hub down for real: what stays, what a later deploy finds, and what goes when told so twice."""

from __future__ import annotations

from contextlib import closing

import pytest
from keycloak import KeycloakAdmin
from kubernetes import client

from tasks.core.objects import CLAIM, CONFIG_MAP, DEPLOYMENT, POD, ROLE, SECRET, SERVICE_ACCOUNT
from tasks.core.records import LABEL
from tests.sandbox.conftest import RELEASE, TLS_SECRET, Profile, Sandbox, new_thinkube
from tests.sandbox.people import start, user_of

USER = "ada"


@pytest.fixture(scope="module")
def hub(sandbox: Sandbox, profile: Profile) -> Profile:
    """A hub with a user who has a server, and a file in it."""
    sandbox.flows("deploy", str(profile), "--json").done()
    with closing(user_of(profile, USER)) as user:
        start(user)
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
    sandbox.flows("teardown", str(hub), "--confirm", hub.namespace, "--json").done()
    kubernetes, namespace = sandbox.kubernetes, hub.namespace
    assert _uids(sandbox, hub) == claims
    assert {"hub-db-dir", "jupyterhub-shared-home", f"claim-{USER}"} <= claims.keys()
    assert [kubernetes.list(kind, namespace) for kind in (DEPLOYMENT, ROLE)] == [(), ()]
    assert kubernetes.list(POD, namespace, "component=singleuser-server") == ()
    assert kubernetes.list(CONFIG_MAP, namespace, LABEL) == ()
    assert "jupyterhub-sa" not in [one["metadata"]["name"] for one in kubernetes.list(SERVICE_ACCOUNT, namespace)]
    assert {one["metadata"]["name"] for one in kubernetes.list(SECRET, namespace)} == {TLS_SECRET, "hubwright-keys"}
    assert sandbox.flows("teardown", str(hub), "--confirm", namespace, "--json").done().result["plan"] == []


def test_a_later_deploy_finds_users_and_files(sandbox: Sandbox, hub: Profile) -> None:
    sandbox.flows("deploy", str(hub), "--json").done()
    with closing(user_of(hub, USER)) as user:
        start(user)
        assert user.run_code("print(open('/home/jovyan/precious').read())").split() == ["precious"]


def test_told_twice_the_volumes_go_too(sandbox: Sandbox, hub: Profile) -> None:
    words = ("--confirm", hub.namespace, "--volumes", hub.namespace, "--json")
    sandbox.flows("teardown", str(hub), *words).done()
    left = [one for one in sandbox.kubernetes.list(CLAIM, hub.namespace) if "deletionTimestamp" not in one["metadata"]]
    assert left == []
    assert {one["metadata"]["name"] for one in sandbox.kubernetes.list(SECRET, hub.namespace)} == {TLS_SECRET}


def test_the_client_goes_and_groups_stay(
    sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, keycloak_admin: KeycloakAdmin
) -> None:
    own = new_thinkube(sandbox, tmp_path_factory.mktemp("profile"), "test-teardown")
    try:
        sandbox.flows("deploy", str(own), "--json").done()
        groups = {group["name"] for group in keycloak_admin.get_groups()}
        assert keycloak_admin.get_client_id(own.namespace)
        sandbox.flows("teardown", str(own), "--confirm", own.namespace, "--json").done()
        assert keycloak_admin.get_client_id(own.namespace) is None
        assert {group["name"] for group in keycloak_admin.get_groups()} == groups
    finally:
        client.CoreV1Api(sandbox.api()).delete_namespace(own.namespace)


def _uids(sandbox: Sandbox, profile: Profile) -> dict[str, str]:
    found = sandbox.kubernetes.list(CLAIM, profile.namespace)
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in found}
