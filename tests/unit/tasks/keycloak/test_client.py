"""The client of Keycloak's admin API: what it asks, and what it makes of each answer."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest
import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError, SSLError

from tasks.core.errors import Conflict, HubError, Permanent, Transient
from tasks.core.fence import FenceLost
from tasks.keycloak.client import Keycloak
from tasks.keycloak.connection import ConnectTo
from tasks.keycloak.state import SeenClient, SeenGroup
from tests.unit.tasks.keycloak.server import ADMIN, IDENTITY, TOKEN, answer, connect, roles, serve, token

CLIENT = SeenClient("c", {"clientId": "jupyterhub"}, roles={"user": "id-of-user", "gpu": "id-of-gpu"})
GROUP = SeenGroup("g", ("team",))
POOL: Any = None


def _shelled(reason: Exception) -> requests.ConnectionError:
    """An error as requests raises it, in all its shells."""
    return requests.ConnectionError(MaxRetryError(POOL, "/x", reason))


REFUSED = _shelled(NewConnectionError(POOL, "HTTPSConnection(host='10.0.0.1', port=8443): Connection refused"))
UNTRUSTED = _shelled(
    SSLError(ssl.SSLCertVerificationError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed"))
)
SLOW = requests.ReadTimeout(ReadTimeoutError(POOL, "/x", "HTTPSConnectionPool(host='id', port=1): Read timed out."))


def test_a_token_is_asked_for_as_the_service_account(monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(monkeypatch, {("GET", f"{ADMIN}/clients"): answer(200, [])})
    assert connect().read_client("jupyterhub") is None
    first, second = server.asked
    assert first.body == {
        "client_id": ["deployer"], "client_secret": ["hunter2"], "grant_type": ["client_credentials"],
        "scope": ["openid"],
    }  # fmt: skip
    assert second.query == {"clientId": ["jupyterhub"]}
    assert second.headers["Authorization"].startswith("Bearer ")


@pytest.mark.parametrize(
    ("issuer", "realm"),
    [("https://id.test/auth/realms/x", "/auth/{}realms/x"), ("https://id.test/realms/a%20b", "/{}realms/a%20b")],
)
def test_a_realm_is_found_where_its_issuer_says(monkeypatch: pytest.MonkeyPatch, issuer: str, realm: str) -> None:
    at = realm.format("admin/") + "/clients"
    answers = {
        ("POST", realm.format("") + "/protocol/openid-connect/token"): token(),
        ("GET", at): answer(200, [{"id": "c", "clientId": "jupyterhub", "secret": "s"}]),
        ("GET", f"{at}/c/roles"): answer(200, [{"id": "1", "name": "user"}]),
        ("PUT", f"{at}/c"): answer(204),
    }
    server = serve(monkeypatch, answers)
    keycloak = connect(IDENTITY.model_copy(update={"issuer": issuer}))
    seen = keycloak.read_client("jupyterhub")
    assert seen
    keycloak.update_client(seen, {"clientId": "jupyterhub"})
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        (roles("manage-clients", "view-users"), {"manage-clients", "view-users"}),
        ({"resource_access": {"account": {"roles": ["view-profile"]}}}, set()),
        ({}, {"manage-clients", "view-users", "manage-users"}),  # a lightweight token
    ],
)
def test_what_the_account_may_do_its_token_says(
    monkeypatch: pytest.MonkeyPatch, claims: dict[str, Any], found: set[str]
) -> None:
    server = serve(monkeypatch, {("POST", TOKEN): token(**claims)})
    assert connect().read_permissions() == found
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        (answer(401, {"error": "invalid_client", "error_description": "Invalid client or Invalid client credentials"}),
         Permanent, r"401 Invalid client or Invalid client credentials\n.*check identity\.deployer"),
        (answer(403, {"error": "invalid_request", "error_description": "HTTPS required"}), Permanent, "HTTPS required"),
        (answer(404, {"error": "Realm does not exist"}), Permanent, r"404 Realm does not exist\n.*identity\.issuer"),
        (answer(429, text="slow down"), Transient, "429 Too Many Requests"),
        (answer(502, text="<html>hunter2"), Transient, "502 Bad Gateway"),
        (answer(503), Transient, "503 Service Unavailable"),
        (answer(503, ["hunter2"]), Transient, "not what it should be"),
        (answer(200, text="<html>hunter2"), Transient, "not what it should be"),
        (answer(200, ["hunter2"]), Transient, "not what it should be"),
        (answer(200, {"token": "hunter2"}), Transient, "not what it should be"),
        (REFUSED, Transient, "cannot be reached: Connection refused"),
        (SLOW, Transient, r"cannot be reached: Read timed out\."),
        (UNTRUSTED, Permanent, r"certificate is not trusted: .*self-signed.*\n.*identity\.ca"),
        (requests.ConnectionError("cut"), Transient, "cannot be reached: cut"),
    ],
)  # fmt: skip
def test_why_there_is_no_token_is_told_without_the_secret(
    monkeypatch: pytest.MonkeyPatch, given: Any, kind: type[HubError], said: str
) -> None:
    serve(monkeypatch, {("POST", TOKEN): given})
    with pytest.raises(kind, match=said) as error:
        connect()
    assert "get a token of realm x as deployer" in str(error.value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        (answer(403, {"error": "HTTP 403 Forbidden"}), Permanent, "the account lacks the role manage-clients"),
        (answer(404, {"error": "Realm not found."}), Permanent, "check the realm"),
        (answer(400, {"error": "unknown_error"}), Permanent, "400 unknown_error"),
        (answer(418, text="x" * 999), Permanent, "418 I'm a Teapot"),
        (answer(429, Retry_After="9"), Transient, "429"),
        (answer(502, text="<html>"), Transient, "502 Bad Gateway"),
        (answer(503), Transient, "503"),
        (answer(200, text="<html>"), Transient, "not what it should be"),
        (REFUSED, Transient, "cannot be reached"),
    ],
)
def test_why_there_is_no_client_to_look_at_is_told(
    monkeypatch: pytest.MonkeyPatch, given: Any, kind: type[HubError], said: str
) -> None:
    serve(monkeypatch, {("GET", f"{ADMIN}/clients"): given})
    with pytest.raises(kind, match=said) as error:
        connect().read_client("jupyterhub")
    assert isinstance(error.value, Transient) == (kind is Transient)
    if isinstance(error.value, Transient):
        assert error.value.retry_after == (9 if "429" in str(error.value) else 0)


def test_an_old_token_is_renewed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    expired = answer(401, {"error": "HTTP 401 Unauthorized"})
    server = serve(monkeypatch, {("GET", f"{ADMIN}/clients"): [expired, answer(200, [])]})
    assert connect().read_client("jupyterhub") is None
    assert [one.path for one in server.asked].count(TOKEN) == 2


Write = Callable[[Keycloak], Any]
CREATE_CLIENT: tuple[Write, str, str] = (
    lambda keycloak: keycloak.create_client({"clientId": "jupyterhub"}), "POST", "/clients"
)  # fmt: skip
WRITES: list[tuple[Write, str, str]] = [
    CREATE_CLIENT,
    (lambda keycloak: keycloak.update_client(CLIENT, {"clientId": "jupyterhub"}), "PUT", "/clients/c"),
    (lambda keycloak: keycloak.apply_mapper(CLIENT, {"name": "m"}), "POST", "/clients/c/protocol-mappers/models"),
    (lambda keycloak: keycloak.apply_mapper(CLIENT, {"name": "m", "id": "7"}), "PUT",
     "/clients/c/protocol-mappers/models/7"),
    (lambda keycloak: keycloak.create_role(CLIENT, "user"), "POST", "/clients/c/roles"),
    (lambda keycloak: keycloak.create_group("team"), "POST", "/groups"),
    (lambda keycloak: keycloak.map_roles(CLIENT, GROUP, {"user"}), "POST", "/groups/g/role-mappings/clients/c"),
    (lambda keycloak: keycloak.unmap_roles(CLIENT, GROUP, {"user"}), "DELETE", "/groups/g/role-mappings/clients/c"),
]  # fmt: skip


@pytest.mark.parametrize(("write", "method", "path"), WRITES)
def test_a_write_is_sent_once_whatever_comes_of_it(
    monkeypatch: pytest.MonkeyPatch, write: Write, method: str, path: str
) -> None:
    for given in (answer(503), requests.ConnectionError("cut"), SLOW):
        server = serve(monkeypatch, {(method, ADMIN + path): given})
        with pytest.raises(Transient):
            write(connect())
        assert server.writes == [(method, ADMIN + path)]


@pytest.mark.parametrize(("write", "method", "path"), WRITES)
def test_nothing_is_written_without_the_fence(
    monkeypatch: pytest.MonkeyPatch, write: Write, method: str, path: str
) -> None:
    def lost() -> None:
        raise FenceLost("fence", "hold it", "somebody else has it", "run again")

    server = serve(monkeypatch, {(method, ADMIN + path): answer(204)})
    with pytest.raises(FenceLost):
        write(connect(may_write=lost))
    assert server.writes == []


@pytest.mark.parametrize(("write", "method", "path"), WRITES)
def test_a_write_that_is_forbidden_names_the_role_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, write: Write, method: str, path: str
) -> None:
    serve(monkeypatch, {(method, ADMIN + path): answer(403, {"error": "HTTP 403 Forbidden"})})
    needed = "manage-users" if path.startswith("/groups") else "manage-clients"
    with pytest.raises(Permanent, match=f"lacks the role {needed}"):
        write(connect())


def test_a_client_that_somebody_made_meanwhile_is_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = answer(409, {"errorMessage": "Client jupyterhub already exists"})
    serve(monkeypatch, {("POST", f"{ADMIN}/clients"): taken})
    with pytest.raises(Conflict, match="409 Client jupyterhub already exists"):
        CREATE_CLIENT[0](connect())


def test_an_address_that_the_realm_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = answer(400, {"error": "invalid_input", "errorMessage": "Redirect URIs must not contain an URI fragment"})
    serve(monkeypatch, {("PUT", f"{ADMIN}/clients/c"): refused})
    with pytest.raises(Permanent, match=r"400 Redirect URIs must not .*\n.*client policy that forbids it"):
        connect().update_client(CLIENT, {"clientId": "jupyterhub", "redirectUris": ["https://hub/#"]})


def test_roles_are_mapped_by_their_ids_in_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(monkeypatch, {("POST", f"{ADMIN}/groups/g/role-mappings/clients/c"): answer(204)})
    connect().map_roles(CLIENT, GROUP, {"user", "gpu"})
    assert server.asked[-1].body == [{"id": "id-of-gpu", "name": "gpu"}, {"id": "id-of-user", "name": "user"}]


def test_a_path_is_made_below_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        ("GET", f"{ADMIN}/group-by-path/a%20b"): answer(200, {"id": "1"}),
        ("GET", f"{ADMIN}/group-by-path/a%20b/%C3%BC"): answer(404, {"error": "Group path does not exist"}),
        ("POST", f"{ADMIN}/groups/1/children"): answer(201, {}, Location="https://id.test/groups/2"),
    }
    server = serve(monkeypatch, answers)
    assert connect().create_group("/a b/ü") == SeenGroup("2", ("a b", "ü"))
    assert server.writes == [("POST", f"{ADMIN}/groups/1/children")]
    assert server.asked[-1].body == {"name": "ü"}


def test_a_group_at_the_top_may_have_slashes_in_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(monkeypatch, {("POST", f"{ADMIN}/groups"): answer(201, Location="https://id.test/groups/2")})
    assert connect().create_group("a/b") == SeenGroup("2", ("a/b",))
    assert server.asked[-1].body == {"name": "a/b"}


def test_claims_are_asked_for_with_the_hubs_scopes(monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{ADMIN}/clients/c/evaluate-scopes/generate-example-userinfo"
    answers = {
        ("GET", f"{ADMIN}/users"): [answer(200, [{"id": "u"}]), answer(200, [])],
        ("GET", path): answer(200, {"hub_roles": ["user"]}),
    }
    server = serve(monkeypatch, answers)
    keycloak = connect()
    assert keycloak.read_example_claims(CLIENT, "carol", ("openid", "email")) == {"hub_roles": ["user"]}
    assert server.asked[-1].query == {"userId": ["u"], "scope": ["openid email"]}
    assert server.asked[-2].query == {"username": ["carol"], "exact": ["true"]}
    assert keycloak.read_example_claims(CLIENT, "nobody", ("openid",)) is None


def test_a_connection_goes_to_the_address_and_is_verified_for_the_name() -> None:
    tls = ssl.create_default_context()
    request = requests.Request("GET", "https://id.test:8443/x").prepare()
    where, how = ConnectTo("192.0.2.1", tls).build_connection_pool_key_attributes(request, verify=True)
    assert where == {"scheme": "https", "host": "192.0.2.1", "port": 8443}
    assert how == {"ssl_context": tls, "cert_reqs": "CERT_REQUIRED", "server_hostname": "id.test"}
    ConnectTo("192.0.2.1", tls).add_headers(request)
    assert request.headers["Host"] == "id.test:8443"


def test_a_connection_is_verified_whatever_the_library_says() -> None:
    tls = ssl.create_default_context()
    request = requests.Request("GET", "https://id.test/x").prepare()
    where, how = ConnectTo(None, tls).build_connection_pool_key_attributes(request, verify=False)
    assert where["host"] == "id.test"
    assert how == {"ssl_context": tls, "cert_reqs": "CERT_REQUIRED", "server_hostname": "id.test"}
