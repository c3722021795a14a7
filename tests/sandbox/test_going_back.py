"""Going back across a change of the hub's database, with a profile's secrets, and after a run that was killed."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing

import pytest
from kubernetes import client

from deployments.sandbox.addresses import REGISTRY
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import CLAIM, CONFIG_MAP
from tasks.core.record import ReleaseRecord
from tasks.core.records import list_records
from tasks.database.client import HubDatabase
from tests.sandbox.conftest import RELEASE, Profile, Sandbox, new_profile
from tests.sandbox.people import start, user_of

OLD_HUB = f"{REGISTRY}/jupyterhub/k8s-hub:3.3.8"
OLD_SCHEMA, NEW_SCHEMA = "0eee8c825d24", "4621fec11365"
"""Alembic's revisions of JupyterHub 4.1 and 5."""
NO_NOTEBOOK = f"{REGISTRY}/library/busybox:1"


@pytest.fixture(scope="module")
def old_hub(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Generator[Profile]:
    """A hub of JupyterHub 4 that passed its checks, with a user who has signed in."""
    own = new_profile(sandbox, tmp_path_factory.mktemp("profile"), f"test-{os.urandom(4).hex()}")
    own.change(release={"images": {"hub": OLD_HUB}})
    try:
        sandbox.flows("deploy", str(own), "--json").done()
        yield own
    finally:
        client.CoreV1Api(sandbox.api()).delete_namespace(own.namespace)


def test_a_deploy_that_fails_after_it_migrated_the_database_brings_it_back(sandbox: Sandbox, old_hub: Profile) -> None:
    with closing(user_of(old_hub, "ada")) as ada:
        start(ada)
        ada.run_code("open('/home/jovyan/precious', 'w').write('precious')")
        claims = _claims(sandbox, old_hub)
        old_hub.change(release={"images": {}}, image={"reference": NO_NOTEBOOK})
        plan = sandbox.flows("deploy", str(old_hub), "--plan-only", "--json").result["plan"]
        assert "Backup of the hub's database as release 1 leaves it" in [one["what"] for one in plan]
        ended = sandbox.flows("deploy", str(old_hub))
        assert ended.code == 1
        assert "the hub's database is backed up" in ended.stderr
        assert "going back to revision 1" in ended.stderr
        assert _schema(sandbox, old_hub) == OLD_SCHEMA
        assert ada.run_code("print(open('/home/jovyan/precious').read())").split() == ["precious"]
        assert _claims(sandbox, old_hub).items() >= claims.items()
    newest, *_ = _records(sandbox, old_hub)
    assert newest.healthy
    assert newest.stands_for == 1


def test_by_hand_the_plan_says_what_is_lost_and_only_that_is(sandbox: Sandbox, old_hub: Profile) -> None:
    """Who signed in since the backup is forgotten; who did before is not."""
    old_hub.change(image={"reference": f"{REGISTRY}/iav/base-notebook:v1"})
    deployed = sandbox.flows("deploy", str(old_hub), "--json").done().result["record"]
    assert deployed["schema_revision"] == NEW_SCHEMA
    with closing(user_of(old_hub, "grace")):
        assert {"ada", "grace"} <= _users(sandbox, old_hub)
    plan = sandbox.flows("rollback", str(old_hub), "--plan-only", "--json")
    [database] = [one for one in plan.result["plan"]["changes"] if one["what"] == "Database of the hub"]
    assert database["before"] == NEW_SCHEMA
    assert "sign-ins" in database["after"]
    result = sandbox.flows("rollback", str(old_hub), "--json").done().result
    assert result["record"]["origin"] == 1
    assert _schema(sandbox, old_hub) == OLD_SCHEMA
    assert "ada" in _users(sandbox, old_hub)
    assert "grace" not in _users(sandbox, old_hub)


def test_a_database_that_did_not_move_is_left_alone(sandbox: Sandbox, old_hub: Profile) -> None:
    old_hub.change(release={"images": {"hub": OLD_HUB}}, server={"idle_timeout": "3h"})
    sandbox.flows("deploy", str(old_hub), "--json").done()
    with closing(user_of(old_hub, "barbara")):
        sandbox.flows("rollback", str(old_hub), "--json").done()
    assert "barbara" in _users(sandbox, old_hub)


def test_a_second_rollback_to_the_same_release_writes_nothing(sandbox: Sandbox, old_hub: Profile) -> None:
    before, revisions = sandbox.audit.now(), len(sandbox.history(old_hub))
    result = sandbox.flows("rollback", str(old_hub), "--to", "1", "--json").done().result
    assert result["plan"]["changes"] == []
    assert len(sandbox.history(old_hub)) == revisions
    assert sandbox.audit.writes(before, old_hub.namespace, ("hubwright", "Helm")) == []


def test_a_wrong_password_source_is_turned_round_with_the_release(sandbox: Sandbox, old_hub: Profile) -> None:
    """The profile's new password reaches the hub's Secret, and a deploy that fails leaves the old one there."""
    proved = old_hub.password.read_text()
    old_hub.password.write_text("marker-another-one\n")
    old_hub.change(release={"images": {"hub": NO_NOTEBOOK}})
    ended = sandbox.flows("deploy", str(old_hub))
    old_hub.password.write_text(proved)
    old_hub.change(release={"images": {"hub": OLD_HUB}})
    assert ended.code == 1
    assert "marker-" not in ended.stderr
    with closing(user_of(old_hub, "ada")) as ada:
        assert ada.read_page("/hub/home") == 200


def test_a_run_that_is_killed_in_mid_upgrade_is_put_right_by_the_schedule(sandbox: Sandbox, old_hub: Profile) -> None:
    healthy = _newest_healthy(sandbox, old_hub)
    old_hub.change(server={"idle_timeout": "4h"})
    sandbox.kill_in(old_hub, "pending-upgrade")
    ended = sandbox.flows("converge", str(old_hub), "--repair", "--json").done()
    assert ended.result["outcome"] == "the newest healthy release serves again"
    assert _newest_healthy(sandbox, old_hub).stands_for == healthy.stands_for


def test_a_record_that_somebody_garbled_is_made_again(sandbox: Sandbox, old_hub: Profile) -> None:
    newest = _records(sandbox, old_hub)[0]
    core, name = client.CoreV1Api(sandbox.api()), f"{RELEASE}-release-{newest.revision}"
    core.patch_namespaced_config_map(name, old_hub.namespace, {"data": {"record.json": "garbled"}})
    result = sandbox.flows("converge", str(old_hub), "--repair", "--json").done().result
    assert result["outcome"] == "what nobody had checked was deployed and checked"
    assert _newest_healthy(sandbox, old_hub).revision >= newest.revision


def test_no_secret_is_on_record(sandbox: Sandbox, old_hub: Profile) -> None:
    password = old_hub.password.read_text().strip()
    maps = sandbox.kubernetes.list(CONFIG_MAP, old_hub.namespace)
    assert maps
    assert not [one["metadata"]["name"] for one in maps if password in str(one.get("data"))]


def _records(sandbox: Sandbox, profile: Profile) -> tuple[ReleaseRecord, ...]:
    return list_records(sandbox.kubernetes, profile.namespace, RELEASE)


def _newest_healthy(sandbox: Sandbox, profile: Profile) -> ReleaseRecord:
    return next(record for record in _records(sandbox, profile) if record.healthy)


def _claims(sandbox: Sandbox, profile: Profile) -> dict[str, str]:
    found = sandbox.kubernetes.list(CLAIM, profile.namespace)
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in found}


def _database(sandbox: Sandbox, profile: Profile) -> HubDatabase:
    kubernetes = Kubernetes.connect(kubeconfig=sandbox.paths.kubeconfig, user_agent="test")
    return HubDatabase(kubernetes, profile.namespace, OLD_HUB, print)


def _schema(sandbox: Sandbox, profile: Profile) -> str | None:
    return _database(sandbox, profile).read_schema_if_ready()


def _users(sandbox: Sandbox, profile: Profile) -> set[str]:
    """Whom the hub's database knows."""
    database = _database(sandbox, profile)
    pod = database._ready_pod()
    assert pod
    query = (
        "import sqlite3; print(*(n for n, in sqlite3.connect('jupyterhub.sqlite').execute('select name from users')))"
    )
    kubernetes = database._kubernetes
    return set(kubernetes.run(pod, profile.namespace, "hub", ("python3", "-c", query), 30).split())
