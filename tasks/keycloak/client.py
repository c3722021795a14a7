"""Keycloak's admin API, as the service account of one realm: the only place that talks to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

from keycloak import KeycloakAdmin, KeycloakOpenIDConnection
from keycloak.exceptions import KeycloakConnectionError, KeycloakError
from pydantic import SecretStr

from config.identity import KeycloakIdentity
from tasks.core.errors import HubError
from tasks.core.wait import parse_retry_after
from tasks.keycloak.connection import open_connection
from tasks.keycloak.plan import Fields
from tasks.keycloak.refusal import NotFound, not_json, refused, unreachable
from tasks.keycloak.state import (
    MANAGE_CLIENTS,
    MANAGE_USERS,
    VIEW_USERS,
    SeenClient,
    SeenGroup,
    parse_client,
    parse_groups,
)

BAD_REQUEST = 400
EVERY_GROUP = " "
"""Keycloak strips what it searches for: every name has nothing in it. Only what it searches has its subgroups."""
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
        found = cls(open_connection(identity, secret), identity.realm, may_write)
        asked = f"get a token of realm {identity.realm} as {identity.deployer.client_id}"
        found._call(asked, None, found._connection.get_token)
        return found

    def read_permissions(self) -> frozenset[str]:
        """The roles of realm-management that the account has, as its own token says. Asks nobody.

        An account whose tokens tell no roles is taken to have those that we know: Keycloak says no by itself.
        """
        token = (self._connection.token or {}).get("access_token", "")
        claims = self._connection.keycloak_openid.decode_token(token, validate=False)
        told = claims.get("resource_access")
        if told is None:
            return frozenset({MANAGE_CLIENTS, VIEW_USERS, MANAGE_USERS})
        return frozenset(told.get("realm-management", {}).get("roles", ()))

    def read_client(self, client_id: str) -> SeenClient | None:
        """A client with its roles; None when there is none of that name."""
        found = self._get("clients", MANAGE_CLIENTS, clientId=client_id)
        if not found:
            return None
        return parse_client(found[0], self._get(f"clients/{found[0]['id']}/roles", MANAGE_CLIENTS))

    def list_groups(self, client_id: str) -> tuple[SeenGroup, ...]:
        """Every group of the realm, with the roles of a client that it has."""
        found = self._get("groups", VIEW_USERS, search=EVERY_GROUP, briefRepresentation="false")
        return tuple(parse_groups(found, client_id))

    def read_example_claims(self, client: SeenClient, username: str, scopes: Iterable[str]) -> Fields | None:
        """What userinfo would tell the hub of a user; None when there is no such user."""
        users = self._get("users", VIEW_USERS, username=username, exact="true")
        if not users:
            return None
        path = f"clients/{client.id}/evaluate-scopes/generate-example-userinfo"
        return self._get(path, VIEW_USERS, userId=users[0]["id"], scope=" ".join(scopes))

    def create_client(self, fields: Fields) -> None:
        """The client is there. Raises Conflict when one of that name was."""
        self._write(f"create client {fields['clientId']}", MANAGE_CLIENTS, self._admin.create_client, fields)

    def update_client(self, client: SeenClient, fields: Fields) -> None:
        """The client has these fields, and its others as before."""
        self._write(f"update client {fields['clientId']}", MANAGE_CLIENTS, self._admin.update_client, client.id, fields)

    def delete_client(self, client: SeenClient) -> None:
        """There is no such client, nor roles of it."""
        asked = f"delete client {client.fields['clientId']}"
        self._write(asked, MANAGE_CLIENTS, self._admin.delete_client, client.id)

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

    def create_group(self, name: str) -> SeenGroup:
        """A group of a profile's name is there: with those above it if that is a path, else at the top."""
        parts = name.removeprefix("/").split("/") if name.startswith("/") else [name]
        above: str | None = None
        for depth, part in enumerate(parts, 1):
            known = self._read_path(parts[:depth]) if len(parts) > 1 else None
            above = known or self._create_group(part, above)
        return SeenGroup(str(above), tuple(parts))

    def map_roles(self, client: SeenClient, group: SeenGroup, roles: Iterable[str]) -> None:
        """Members of the group have these roles of the client."""
        named = [{"id": client.roles[role], "name": role} for role in sorted(roles)]
        asked = f"give group {group.path} roles of client {client.fields['clientId']}"
        self._write(asked, MANAGE_USERS, self._admin.assign_group_client_roles, group.id, client.id, named)

    def unmap_roles(self, client: SeenClient, group: SeenGroup, roles: Iterable[str]) -> None:
        """Members of the group have these roles of the client no more, unless from elsewhere."""
        named = [{"id": client.roles[role], "name": role} for role in sorted(roles)]
        asked = f"take roles of client {client.fields['clientId']} from group {group.path}"
        self._write(asked, MANAGE_USERS, self._admin.delete_group_client_roles, group.id, client.id, named)

    def _create_group(self, name: str, above: str | None) -> str:
        payload = {"name": name}
        return str(self._write(f"create group {name}", MANAGE_USERS, self._admin.create_group, payload, above))

    def _read_path(self, names: Iterable[str]) -> str | None:
        path = "/".join(quote(name, safe="") for name in names)
        try:
            return str(self._get(f"group-by-path/{path}", VIEW_USERS)["id"])
        except NotFound:
            return None

    def _get(self, path: str, role: str, **query: str) -> Any:
        asked = f"GET {path}"

        def get() -> Any:
            answer = self._connection.raw_get(f"admin/realms/{self._realm}/{path}", **query)
            if answer.status_code >= BAD_REQUEST:
                wait = parse_retry_after(answer.headers.get("Retry-After"))
                raise refused(asked, role, answer.status_code, answer.content, wait)
            return answer.json()

        return self._call(asked, role, get)

    def _write(self, asked: str, role: str, write: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        self._may_write()
        return self._call(asked, role, write, *args, **kwargs)

    def _call(self, asked: str, role: str | None, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What a call answers; ``role`` is what the account needs for it."""
        try:
            return call(*args, **kwargs)
        except HubError:
            raise
        except KeycloakConnectionError as error:
            raise unreachable(asked, error.__cause__ or error) from error
        except KeycloakError as error:
            raise refused(asked, role, error.response_code or 0, error.response_body) from error
        except (ValueError, TypeError, KeyError):  # the library reads answers without a look at them
            raise not_json(asked) from None  # their texts quote answers
