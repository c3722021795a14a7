"""Keycloak's admin API, as the service account of one realm: the only place that talks to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote, urlsplit

from keycloak import KeycloakAdmin, KeycloakOpenIDConnection
from keycloak.exceptions import KeycloakConnectionError, KeycloakError
from pydantic import SecretStr
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException

from config.identity import KeycloakIdentity
from tasks.core.errors import Conflict, HubError, Permanent, Transient
from tasks.core.trust import trust
from tasks.keycloak.plan import Fields
from tasks.keycloak.state import (
    MANAGE_CLIENTS,
    MANAGE_USERS,
    VIEW_USERS,
    SeenClient,
    SeenGroup,
    parse_client,
    parse_group,
)

REQUEST_SECONDS = 15
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, TOO_MANY = 400, 401, 403, 404, 409, 429
SERVER_ERROR = 500
SHOWN_CHARACTERS = 200
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
P = ParamSpec("P")
R = TypeVar("R")


class Keycloak:
    """One realm. ``may_write`` is asked before each write, and raises when it may not."""

    def __init__(
        self, connection: KeycloakOpenIDConnection, realm: str, may_write: Callable[[], None] = lambda: None
    ) -> None:
        self._connection = connection
        self._admin = KeycloakAdmin(connection=connection)
        self._realm = realm
        self._may_write = may_write

    @classmethod
    def connect(
        cls, identity: KeycloakIdentity, secret: SecretStr, may_write: Callable[[], None] = lambda: None
    ) -> Keycloak:
        """The realm of the profile, with a token. Raises Permanent when the account is not let in."""
        trust("Keycloak", identity.ca, "identity.ca")  # its own words for a file that cannot be read are worse
        connection = KeycloakOpenIDConnection(
            server_url=identity.server,
            realm_name=identity.realm,
            client_id=identity.deployer.client_id,
            client_secret_key=secret.get_secret_value(),
            verify=identity.ca or True,
            timeout=REQUEST_SECONDS,
            max_retries=0,
        )
        for manager in (connection, connection.keycloak_openid.connection):
            # The library has no other way to say where to connect, and its own adapter repeats writes.
            manager._s.mount("https://", _ConnectTo(identity.address))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        found = cls(connection, identity.realm, may_write)
        found._call(f"get a token as {identity.deployer.client_id}", MANAGE_CLIENTS, connection.get_token)
        return found

    def read_permissions(self) -> frozenset[str]:
        """The roles of realm-management that the account has, as its own token says. Asks nobody."""
        token = (self._connection.token or {}).get("access_token", "")
        claims = self._connection.keycloak_openid.decode_token(token, validate=False)
        return frozenset(claims.get("resource_access", {}).get("realm-management", {}).get("roles", ()))

    def read_client(self, client_id: str) -> SeenClient | None:
        """A client with its roles; None when there is none of that name."""
        found = self._get("clients", MANAGE_CLIENTS, clientId=client_id)
        if not found:
            return None
        roles = self._get(f"clients/{found[0]['id']}/roles", MANAGE_CLIENTS)
        return parse_client(found[0], tuple(role["name"] for role in roles))

    def list_groups(self, names: Iterable[str], client_id: str) -> dict[str, SeenGroup]:
        """Those of the named groups that are there, with the roles of a client that they have.

        A name that begins with a slash is a path; any other that of a group at the top, slashes and all.
        """
        top = {group["name"]: group for group in self._get("groups", VIEW_USERS, briefRepresentation="false")}
        found: dict[str, Any] = {}
        for name in names:
            group = self._read_path(name) if name.count("/") > 1 and name.startswith("/") else top.get(name.strip("/"))
            if name in top:
                group = top[name]
            if group:
                found[name] = group
        return {name: parse_group(group, client_id) for name, group in found.items()}

    def read_example_claims(self, client: SeenClient, username: str) -> Mapping[str, Any] | None:
        """What userinfo would tell the hub of a user; None when there is no such user."""
        users = self._get("users", VIEW_USERS, username=username, exact="true")
        if not users:
            return None
        path = f"clients/{client.id}/evaluate-scopes/generate-example-userinfo"
        return self._get(path, VIEW_USERS, userId=users[0]["id"], scope="openid")

    def create_client(self, fields: Fields) -> None:
        """The client is there. Raises Conflict when one of that name was."""
        self._write(f"create client {fields['clientId']}", MANAGE_CLIENTS, self._admin.create_client, fields)

    def update_client(self, client: SeenClient, fields: Fields) -> None:
        """The client has these fields, and its others as before."""
        self._write(f"update client {fields['clientId']}", MANAGE_CLIENTS, self._admin.update_client, client.id, fields)

    def apply_mapper(self, client: SeenClient, mapper: Fields) -> None:
        """The client has the mapper; one with an id is changed."""
        asked = f"set mapper {mapper['name']} of client {client.fields['clientId']}"
        if "id" in mapper:
            self._write(asked, MANAGE_CLIENTS, self._admin.update_client_mapper, client.id, mapper["id"], mapper)
        else:
            self._write(asked, MANAGE_CLIENTS, self._admin.add_mapper_to_client, client.id, mapper)

    def create_role(self, client: SeenClient, role: str) -> None:
        """The client has a role of that name."""
        asked = f"create role {role} of client {client.fields['clientId']}"
        self._write(asked, MANAGE_CLIENTS, self._admin.create_client_role, client.id, {"name": role})

    def create_group(self, name: str) -> None:
        """The group is there, with those above it in a path."""
        if not name.startswith("/"):
            self._create_group(name, None)
            return
        above: str | None = None
        parts = name.strip("/").split("/")
        for depth, part in enumerate(parts, 1):
            seen = self._read_path("/" + "/".join(parts[:depth]))
            above = str(seen["id"]) if seen else self._create_group(part, above)

    def map_role(self, client: SeenClient, group: SeenGroup, role: str) -> None:
        """Members of the group have the client's role."""
        found = self._get(f"clients/{client.id}/roles/{quote(role, safe='')}", MANAGE_CLIENTS)
        asked = f"give a group role {role}"
        self._write(asked, MANAGE_USERS, self._admin.assign_group_client_roles, group.id, client.id, [found])

    def unmap_role(self, client: SeenClient, group: SeenGroup, role: str) -> None:
        """Members of the group have the client's role no more."""
        found = self._get(f"clients/{client.id}/roles/{quote(role, safe='')}", MANAGE_CLIENTS)
        asked = f"take role {role} from a group"
        self._write(asked, MANAGE_USERS, self._admin.delete_group_client_roles, group.id, client.id, [found])

    def _create_group(self, name: str, above: str | None) -> str:
        payload = {"name": name}
        return str(self._write(f"create group {name}", MANAGE_USERS, self._admin.create_group, payload, above))

    def _read_path(self, path: str) -> Any:
        try:
            return self._get(f"group-by-path/{quote(path.strip('/'))}", VIEW_USERS)
        except _NotFound:
            return None

    def _get(self, path: str, role: str, **query: str) -> Any:
        def get() -> Any:
            answer = self._connection.raw_get(f"admin/realms/{quote(self._realm)}/{path}", **query)
            if answer.status_code >= BAD_REQUEST:
                raise KeycloakError(answer.reason or "", response_code=answer.status_code)
            return answer.json()

        return self._call(f"GET {path}", role, get)

    def _write(self, asked: str, role: str, write: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        self._may_write()
        return self._call(asked, role, write, *args, **kwargs)

    def _call(self, asked: str, role: str, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What a call answers; ``role`` is what the account needs for it."""
        try:
            return call(*args, **kwargs)
        except KeycloakConnectionError as error:
            # The library's own words say nothing; those of what it caught do.
            raise _unreachable(asked, str(error.__cause__ or error)) from error
        except (RequestException, ValueError) as error:
            raise _unreachable(asked, f"{type(error).__name__}: {error}") from error
        except KeycloakError as error:
            raise _as_hub_error(asked, role, error) from error


class _NotFound(Permanent):
    """There is no such thing in the realm, or no such realm."""


class _ConnectTo(HTTPAdapter):
    """Connects to one IP address, if one is given, and verifies the certificate for the name all the same."""

    def __init__(self, ip: str | None) -> None:
        super().__init__(max_retries=0)
        self._ip = ip

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: bool | str, cert: str | tuple[str, str] | None = None
    ) -> tuple[Any, Any]:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if self._ip is None:
            return host, pool
        name = urlsplit(request.url or "").hostname
        return {**host, "host": self._ip}, {**pool, "server_hostname": name, "assert_hostname": name}


def _unreachable(asked: str, said: str) -> HubError:
    if UNTRUSTED in said:
        remedy = "put the CA that signed Keycloak's certificate into identity.ca"
        return Permanent("Keycloak", asked, f"its certificate is not trusted: {said[-SHOWN_CHARACTERS:]}", remedy)
    remedy = "check identity.issuer and identity.address, and that this machine reaches Keycloak"
    return Transient("Keycloak", asked, f"cannot be reached: {said[:SHOWN_CHARACTERS]}", remedy)


def _as_hub_error(asked: str, role: str, error: KeycloakError) -> HubError:
    """Our error for an answer of Keycloak's. Its texts hold no secrets, and are cut short all the same."""
    status = error.response_code or 0
    said = (
        error.error_message.decode(errors="replace") if isinstance(error.error_message, bytes) else error.error_message
    )
    answered = f"{status} {said}"[:200]
    if status == TOO_MANY or status >= SERVER_ERROR:
        return Transient("Keycloak", asked, answered, "wait for Keycloak to recover, then run again")
    if status == UNAUTHORIZED or (status == BAD_REQUEST and "token" in asked):
        remedy = "check identity.deployer: its client, that it has a service account, and its secret"
        return Permanent("Keycloak", asked, answered, remedy)
    if status == FORBIDDEN:
        remedy = f"have the realm's owner give the account {role} (client realm-management, Service accounts roles)"
        return Permanent("Keycloak", asked, f"{answered}: the account lacks the role {role}", remedy)
    if status == NOT_FOUND:
        remedy = "check the realm in identity.issuer; if it is right, somebody deleted this meanwhile: run again"
        return _NotFound("Keycloak", asked, answered, remedy)
    if status == CONFLICT:
        return Conflict("Keycloak", asked, answered, "somebody made it meanwhile: run again")
    return Permanent("Keycloak", asked, answered, "read the message, and Keycloak's log")
