"""What roles give at a hub, what is refused, and when a role that was taken away counts."""

from __future__ import annotations

import base64
import os
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from keycloak import KeycloakAdmin
from kubernetes import client
from prometheus_client.parser import text_string_to_metric_families

from deployments.sandbox.addresses import KEYCLOAK_HOST
from tasks.core.names import CHART_SECRET, METRICS_SERVICE, token_key
from tasks.core.objects import CLAIM, POD, SECRET
from tasks.core.wait import wait_until
from tasks.validation.client import UserSession
from tasks.validation.entry import Entry
from tests.sandbox.conftest import Profile, Sandbox, admin_of, new_thinkube
from tests.sandbox.people import group_id, newcomer, password_of, pods_of, session_of, start

IMAGE = "10.51.0.2:5000/iav/base-notebook:v1"
ROLES = {
    "user": {"gpus": 0, "idle_timeout": "1m"},
    "gpu": {"gpus": 1, "home": "20Gi", "images": ["other"]},
    "admin": {"idle_timeout": "8h"},
}
FORMS = 6
"""One more than the chart's own hub takes before it exits."""
HUB_SECONDS = 90
IDLE_SECONDS = 240
"""A minute of idleness, and what a server and the hub need to notice."""
REFUSED = 403


@pytest.fixture(scope="module")
def hub(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Generator[Profile, None, None]:
    """A deployed hub of the module's own; its namespace and client are deleted afterwards."""
    own = new_thinkube(sandbox, tmp_path_factory.mktemp("profile"), f"test-{os.urandom(4).hex()}")
    own.change(images={"other": {"title": "The same by another name", "reference": IMAGE}})
    own.change(identity={"roles": ROLES})
    ended = sandbox.flows("deploy", str(own), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    yield own
    admin = admin_of(sandbox)
    client_id = admin.get_client_id(own.namespace)
    if client_id:
        admin.delete_client(client_id)
    client.CoreV1Api(sandbox.api()).delete_namespace(own.namespace)


@pytest.fixture
def name() -> str:
    return f"newcomer-{os.urandom(3).hex()}"


@contextmanager
def _signed_in(sandbox: Sandbox, hub: Profile, user: str) -> Generator[UserSession]:
    with closing(session_of(hub, user)) as session:
        assert session.sign_in(password_of(sandbox)) is Entry.IN
        yield session


def _post(session: UserSession, path: str, **content: Any) -> int:
    allowed = tuple(range(200, 500))
    return session._send("POST", path, headers=session._hub_headers(), allowed=allowed, **content).status_code


def _api(user: str) -> str:
    return f"/hub/api/users/{user}/server"


def _failed_starts(sandbox: Sandbox, hub: Profile, session: UserSession) -> float:
    secret = sandbox.kubernetes.read(SECRET, CHART_SECRET, hub.namespace)
    assert secret
    token = base64.b64decode(secret["data"][token_key(METRICS_SERVICE)]).decode()
    text = session._send("GET", "/hub/metrics", headers={"Authorization": f"token {token}"}).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "jupyterhub_server_spawn_duration_seconds_count" and "failure" in sample.labels["status"]
    )


def _hub_pod(sandbox: Sandbox, hub: Profile) -> str:
    """The name of the hub's pod; "" while there is none that is ready."""
    for pod in sandbox.kubernetes.list(POD, hub.namespace, "component=hub"):
        conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}
        if conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]:
            return str(pod["metadata"]["name"])
    return ""


@contextmanager
def _restarted(sandbox: Sandbox, hub: Profile) -> Generator[str]:
    """Within, something makes the hub's pod anew; afterwards the new one serves.

    A hub that starts asks the provider anew about everybody, so nobody has to wait for five minutes.
    """
    before = _hub_pod(sandbox, hub)
    yield before

    def not_yet() -> str:
        with closing(session_of(hub, "nobody")) as stranger:
            now = _hub_pod(sandbox, hub)
            return "the old pod" if now in ("", before) else stranger.read_unhealthy()

    wait_until("test", "wait for the hub's new pod", not_yet, seconds=HUB_SECONDS, remedy="")


def _restart(sandbox: Sandbox, hub: Profile) -> None:
    with _restarted(sandbox, hub) as pod:
        client.CoreV1Api(sandbox.api()).delete_namespaced_pod(pod, hub.namespace)


def _aliases(sandbox: Sandbox, hub: Profile, aliases: list[dict[str, Any]] | None) -> None:
    with _restarted(sandbox, hub):
        client.AppsV1Api(sandbox.api()).patch_namespaced_deployment(
            "hub", hub.namespace, {"spec": {"template": {"spec": {"hostAliases": aliases}}}}
        )


def test_who_has_several_roles_has_the_most_of_each(sandbox: Sandbox, hub: Profile) -> None:
    for user, options in (("bob", {}), ("carol", {"profile": "standard", "image": "other"})):
        with _signed_in(sandbox, hub, user) as session:
            start(session, **options)
            session.stop_server()
    homes = {claim["metadata"]["name"]: claim for claim in sandbox.kubernetes.list(CLAIM, hub.namespace)}
    sizes = [homes[f"claim-{user}"]["spec"]["resources"]["requests"]["storage"] for user in ("bob", "carol")]
    assert sizes == ["10Gi", "20Gi"]


@pytest.mark.parametrize(
    ("user", "options"),
    [
        ("bob", {"profile": "gpu"}),
        ("bob", {"profile": ["standard"]}),
        ("carol", {"profile": "gpu"}),  # no node has one
        ("carol", {"profile": "standard", "image": "theirs"}),
        ("carol", {"image--unlisted-choice": IMAGE}),
    ],
)
def test_what_no_role_offers_is_refused_and_is_no_failed_start(
    sandbox: Sandbox, hub: Profile, user: str, options: dict[str, Any]
) -> None:
    with _signed_in(sandbox, hub, user) as session:
        before = _failed_starts(sandbox, hub, session)
        assert _post(session, _api(user), json=options) == REFUSED
        assert _failed_starts(sandbox, hub, session) == before
        assert pods_of(sandbox, hub, user) == []


def test_forged_forms_are_refused_and_the_next_good_one_is_taken(sandbox: Sandbox, hub: Profile) -> None:
    pod = _hub_pod(sandbox, hub)
    with _signed_in(sandbox, hub, "bob") as session:
        before = _failed_starts(sandbox, hub, session)
        session.read_page("/hub/spawn/bob")
        page = f"/hub/spawn/bob?_xsrf={session.xsrf('/hub/')}"
        assert {_post(session, page, data={"profile": "gpu"}) for _ in range(FORMS)} == {REFUSED}
        assert session.read_page("/hub/spawn/bob?profile=gpu") == REFUSED
        assert _failed_starts(sandbox, hub, session) == before
        assert pods_of(sandbox, hub, "bob") == []
        assert _post(session, page, data={"profile": "standard"}) == 200
        start(session)
        session.stop_server()
    assert _hub_pod(sandbox, hub) == pod


def test_an_admin_cannot_start_for_somebody_what_their_role_does_not_offer(sandbox: Sandbox, hub: Profile) -> None:
    with _signed_in(sandbox, hub, "bob"), _signed_in(sandbox, hub, "alice") as alice:
        assert _post(alice, _api("bob"), json={"profile": "gpu"}) == REFUSED


def test_who_lost_a_role_loses_what_it_gave_and_who_lost_all_is_signed_out(
    sandbox: Sandbox, hub: Profile, keycloak_admin: KeycloakAdmin, name: str
) -> None:
    groups = {group: group_id(keycloak_admin, group) for group in ("hub-admins", "hub-users")}
    with newcomer(sandbox, keycloak_admin, name, *groups) as user, _signed_in(sandbox, hub, name) as session:
        assert session.read_page("/hub/admin") == 200
        start(session)
        keycloak_admin.group_user_remove(user, groups["hub-admins"])
        _restart(sandbox, hub)
        assert (session.read_page("/hub/admin"), session.read_roles()) == (REFUSED, ("user",))
        keycloak_admin.group_user_remove(user, groups["hub-users"])
        _restart(sandbox, hub)
        assert session._send("GET", "/hub/home").url.path == "/hub/login"
        assert session.read_page("/hub/oauth_login") == REFUSED
        assert [pod["status"]["phase"] for pod in pods_of(sandbox, hub, name)] == ["Running"]
        keycloak_admin.group_user_add(user, groups["hub-users"])
        assert session.read_page("/hub/oauth_login") == 200
        session.stop_server()


def test_a_role_that_was_given_counts_at_once_for_a_start_by_the_api(
    sandbox: Sandbox, hub: Profile, keycloak_admin: KeycloakAdmin, name: str
) -> None:
    with newcomer(sandbox, keycloak_admin, name, "hub-users") as user, _signed_in(sandbox, hub, name) as session:
        start(session)
        session.stop_server()
        keycloak_admin.group_user_add(user, group_id(keycloak_admin, "hub-gpu"))
        assert _post(session, _api(name), json={"profile": "standard", "image": "theirs"}) == REFUSED
        start(session, profile="standard", image="other")
        session.stop_server()


def test_a_disabled_account_starts_no_server(
    sandbox: Sandbox, hub: Profile, keycloak_admin: KeycloakAdmin, name: str
) -> None:
    with (
        newcomer(sandbox, keycloak_admin, name, "hub-users") as user,
        _signed_in(sandbox, hub, name) as session,
    ):
        keycloak_admin.update_user(user, {"enabled": False})
        assert _post(session, _api(name), json={}) == REFUSED
        assert pods_of(sandbox, hub, name) == []


def test_people_stay_in_while_the_hub_cannot_reach_the_provider(sandbox: Sandbox, hub: Profile) -> None:
    with _signed_in(sandbox, hub, "bob") as session:
        _aliases(sandbox, hub, [{"ip": "127.0.0.1", "hostnames": [KEYCLOAK_HOST]}])
        try:
            assert session._send("GET", "/hub/home").url.path == "/hub/home"
            assert session.read_roles() == ("user",)
            start(session)
            session.stop_server()
        finally:
            _aliases(sandbox, hub, None)
        assert session._send("GET", "/hub/home").url.path == "/hub/home"


def test_an_idle_server_is_stopped_when_its_users_role_says(sandbox: Sandbox, hub: Profile) -> None:
    def still_there() -> str:
        return ", ".join(pod["status"]["phase"] for pod in pods_of(sandbox, hub, "bob"))

    with _signed_in(sandbox, hub, "bob") as bob, _signed_in(sandbox, hub, "alice") as alice:
        start(bob)
        start(alice)
        wait_until("test", "wait until bob's server is gone", still_there, seconds=IDLE_SECONDS, remedy="")
        assert [pod["status"]["phase"] for pod in pods_of(sandbox, hub, "alice")] == ["Running"]
        alice.stop_server()
