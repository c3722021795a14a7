"""The phase as the flow runs it, on a realm in memory: what is written, in which order, and what is told."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr

from tasks.core.change import HIDDEN, Plan
from tasks.core.errors import Permanent, Transient
from tasks.core.fence import Fence
from tasks.core.objects import WantedObject, plan_object
from tasks.keycloak import phase
from tasks.keycloak.phase import check_claims, ensure_client, ensure_client_secret, ensure_roles, look_at_keycloak
from tasks.keycloak.plan import Fields
from tasks.keycloak.state import SeenClient, SeenGroup, parse_client
from tests.unit.tasks.keycloak.realms import EVERYTHING, GROUPS, HUB, client_with, group_with

FENCE = cast("Fence", SimpleNamespace(check=lambda: None))


@dataclass
class _Realm:
    """A realm, and what was written to it."""

    client: SeenClient | None = None
    groups: tuple[SeenGroup, ...] = ()
    may: frozenset[str] = EVERYTHING
    claims: dict[str, Fields] = field(default_factory=dict[str, Fields])
    busy: int = 0
    """How often it will still say that it is not there."""
    cut: str = ""
    """The write that does not come to its end, once."""
    written: list[str] = field(default_factory=list[str])

    def connect(self, *_account: object) -> _Realm:
        if self.busy:
            self.busy -= 1
            raise Transient("Keycloak", "get a token", "503", "wait")
        return self

    def read_permissions(self) -> frozenset[str]:
        return self.may

    def read_client(self, _client_id: str) -> SeenClient | None:
        return self.client

    def list_groups(self, _client_id: str) -> tuple[SeenGroup, ...]:
        return self.groups

    def read_example_claims(self, _client: SeenClient, user: str, _scopes: object) -> Fields | None:
        return self.claims.get(user)

    def create_client(self, fields: Fields) -> None:
        self._write("client")
        mappers = [{**mapper, "id": mapper["name"]} for mapper in fields["protocolMappers"]]
        self.client = parse_client({**fields, "id": "c", "secret": "drawn", "protocolMappers": mappers}, ())

    def update_client(self, client: SeenClient, fields: Fields) -> None:
        self._write("fields")
        attributes = {**(client.fields.get("attributes") or {}), **fields.get("attributes", {})}
        self.client = replace(client, fields={**client.fields, **fields, "attributes": attributes})

    def apply_mapper(self, client: SeenClient, mapper: Fields) -> None:
        self._write(f"mapper {mapper['name']}")
        mappers = {**client.mappers, mapper["name"]: {"id": "new", **mapper}}
        self.client = replace(client, fields={**client.fields, "protocolMappers": [*mappers.values()]})

    def create_role(self, _client: SeenClient, role: str) -> None:
        self._write(f"role {role}")
        assert self.client
        self.client = replace(self.client, roles={**self.client.roles, role: f"id-of-{role}"})

    def create_group(self, name: str) -> SeenGroup:
        self._write(f"group {name}")
        self.groups = (*self.groups, group_with(name))
        return self.groups[-1]

    def map_roles(self, client: SeenClient, group: SeenGroup, roles: frozenset[str]) -> None:
        assert roles <= client.roles.keys()  # its ids are needed
        self._write(f"{group.path} + {', '.join(sorted(roles))}")
        self._give(group, lambda had: had | roles)

    def unmap_roles(self, _client: SeenClient, group: SeenGroup, roles: frozenset[str]) -> None:
        self._write(f"{group.path} - {', '.join(sorted(roles))}")
        self._give(group, lambda had: had - roles)

    def _give(self, group: SeenGroup, change: Callable[[frozenset[str]], frozenset[str]]) -> None:
        self.groups = tuple(replace(one, roles=change(one.roles)) if one.id == group.id else one for one in self.groups)

    def _write(self, what: str) -> None:
        if what == self.cut:
            self.cut = ""
            raise Transient("Keycloak", what, "cut", "run again")
        self.written.append(what)


@dataclass
class _Cluster:
    """A cluster with one Secret at most."""

    kept: dict[str, Any] | None = None
    written: int = 0

    def plan(self, wanted: WantedObject) -> Plan:
        return plan_object(wanted, self.kept)

    def ensure(self, wanted: WantedObject) -> Plan:
        plan = self.plan(wanted)
        if not plan.empty:
            self.kept, self.written = dict(wanted.body), self.written + 1
        return plan


@dataclass
class _Log:
    said: list[str] = field(default_factory=list[str])

    def info(self, text: str, *words: object) -> None:
        self.said.append(text % words)

    warning = info


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> _Log:
    log = _Log()
    monkeypatch.setattr(phase, "get_run_logger", lambda: log)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setenv("HUBWRIGHT_KEYCLOAK_SECRET", "hunter2")
    return log


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> _Cluster:
    cluster = _Cluster()
    monkeypatch.setattr(phase.Kubernetes, "connect", lambda **_options: cluster)
    return cluster


@pytest.fixture
def realm(monkeypatch: pytest.MonkeyPatch, log: _Log, cluster: _Cluster) -> _Realm:  # noqa: ARG001
    realm = _Realm()
    monkeypatch.setattr(phase.Keycloak, "connect", realm.connect)
    return realm


def _set_up() -> None:
    ensure_client.fn(HUB, FENCE)
    ensure_roles.fn(HUB, FENCE)
    ensure_client_secret.fn(HUB, FENCE)


EVERYTHING_ONCE = [
    "client", "role admin", "role user", "role gpu", "group hub-admins", "/hub-admins + admin",
    "group hub-users", "/hub-users + user", "group hub-gpu", "/hub-gpu + gpu",
]  # fmt: skip


def test_the_first_run_makes_everything_in_order_and_the_second_nothing(realm: _Realm, cluster: _Cluster) -> None:
    assert look_at_keycloak.fn(HUB).secret_mark is None
    _set_up()
    assert realm.written == EVERYTHING_ONCE
    _set_up()
    assert realm.written == EVERYTHING_ONCE
    assert cluster.written == 1
    look = look_at_keycloak.fn(HUB)
    assert (look.plan.empty, look.problems) == (True, ())


def test_what_was_planned_is_what_is_done(realm: _Realm) -> None:
    planned = [change.what for change in look_at_keycloak.fn(HUB).plan]
    done = [change.what for change in (*ensure_client.fn(HUB, FENCE), *ensure_roles.fn(HUB, FENCE))]
    assert planned == [*done, "Secret hubwright-oidc"]
    assert len(realm.written) == len(done)


@pytest.mark.parametrize("cut", EVERYTHING_ONCE)
def test_a_run_that_ends_at_any_write_is_taken_up_by_the_next(realm: _Realm, cut: str) -> None:
    realm.cut = cut
    with pytest.raises(Transient, match="cut"):
        _set_up()
    _set_up()
    assert realm.written == EVERYTHING_ONCE


def test_drift_is_put_back_and_nothing_else_written(realm: _Realm) -> None:
    mappers = [mapper for mapper in client_with().fields["protocolMappers"] if mapper["name"] != "hub email"]
    realm.client = client_with(webOrigins=["+"], protocolMappers=mappers)
    realm.groups = (GROUPS[0], group_with("hub-users", "user", "admin"), GROUPS[2], group_with("theirs", "admin"))
    _set_up()
    assert realm.written == ["fields", "mapper hub email", "/hub-users - admin"]


def test_a_rotated_secret_is_followed_and_not_told(realm: _Realm, cluster: _Cluster) -> None:
    _set_up()
    before = look_at_keycloak.fn(HUB).secret_mark
    assert realm.client
    realm.client = replace(realm.client, secret=SecretStr("rotated"))
    look = look_at_keycloak.fn(HUB)
    [change] = look.plan
    assert (change.what, change.before, change.after) == ("Secret hubwright-oidc data.client_secret", HIDDEN, HIDDEN)
    assert ensure_client_secret.fn(HUB, FENCE) == look.secret_mark != before
    assert cluster.kept
    assert base64.b64decode(cluster.kept["data"]["client_secret"]) == b"rotated"
    assert "rotated" not in f"{look}{realm.client}"


def test_a_client_without_a_secret_is_told(realm: _Realm) -> None:
    realm.client, realm.groups = client_with(secret=None), GROUPS
    with pytest.raises(Permanent, match="have one drawn in Keycloak"):
        ensure_client_secret.fn(HUB, FENCE)


@pytest.mark.parametrize("task", [ensure_roles, ensure_client_secret])
def test_a_client_that_is_gone_again_is_told(realm: _Realm, task: Any) -> None:
    with pytest.raises(Permanent, match="somebody deleted it meanwhile"):
        task.fn(HUB, FENCE)
    assert realm.written == []


def test_somebody_elses_client_is_not_touched(realm: _Realm) -> None:
    realm.client = client_with(publicClient=True, webOrigins=["+"])
    with pytest.raises(Permanent, match="public"):
        ensure_client.fn(HUB, FENCE)
    assert realm.written == []


def test_an_account_that_may_not_change_groups_does_all_else(realm: _Realm) -> None:
    realm.may = EVERYTHING - {"manage-users"}
    _set_up()
    assert realm.written == EVERYTHING_ONCE[:4]
    look = look_at_keycloak.fn(HUB)
    assert look.plan.empty
    assert len(look.problems) == 6  # three groups to make, and a role for each
    with pytest.raises(Permanent, match="have the realm's owner do what this account may not: create Group hub-admins"):
        check_claims.fn(HUB)


@pytest.mark.parametrize("task", [ensure_client, ensure_roles, ensure_client_secret])
def test_a_keycloak_that_is_just_being_restarted_is_waited_for(realm: _Realm, log: _Log, task: Any) -> None:
    realm.client, realm.groups, realm.busy = client_with(), GROUPS, 3
    task.fn(HUB, FENCE)
    assert log.said == ["waiting for Keycloak: 503"] * 3


GOOD: dict[str, Fields] = {
    "hubwright-check": {"preferred_username": "hubwright-check", "hub_roles": ["user"]},
    "hubwright-check-admin": {"preferred_username": "hubwright-check-admin", "hub_roles": ["admin"]},
    "hubwright-check-outsider": {"preferred_username": "hubwright-check-outsider"},
}


def test_claims_that_are_right_are_nothing_to_tell(realm: _Realm, log: _Log) -> None:
    realm.client, realm.groups, realm.claims = client_with(), GROUPS, GOOD
    check_claims.fn(HUB)
    assert log.said == []


def test_claims_that_are_wrong_end_the_deploy_before_anybody_signs_in(realm: _Realm) -> None:
    realm.client, realm.groups = client_with(), GROUPS
    realm.claims = {**GOOD, "hubwright-check-outsider": {**GOOD["hubwright-check-outsider"], "hub_roles": ["admin"]}}
    with pytest.raises(Permanent, match=r"outsider would arrive with admin .*\n.*compare the users' groups"):
        check_claims.fn(HUB)


def test_claims_that_may_not_be_asked_for_are_said_to_be_unchecked(realm: _Realm, log: _Log) -> None:
    realm.client, realm.may = client_with(), frozenset({"manage-clients"})
    check_claims.fn(HUB)
    assert log.said == ["not checked what Keycloak would tell the hub: the account lacks view-users"]
