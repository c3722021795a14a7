"""What can be seen of a realm that is about one hub: its client, the client's roles, and groups that have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import SecretStr

OPENID_CONNECT = "openid-connect"
MANAGE_CLIENTS, VIEW_USERS, MANAGE_USERS = "manage-clients", "view-users", "manage-users"
"""Roles of the client realm-management, and what each is needed for here: client and roles, looking, groups."""
SEEING = frozenset({VIEW_USERS, MANAGE_USERS})
"""Either of them shows groups and users. (query-groups and query-users show an empty list, and call that an answer.)"""


class ClientStatus(StrEnum):
    """How the hub's client stands."""

    ABSENT = "absent"
    FOREIGN = "foreign"
    """One of that name is there, and is not of the kind that a hub uses: it is somebody else's."""
    PRESENT = "present"


@dataclass(frozen=True)
class SeenClient:
    """A client, by Keycloak's id of it, as ClientRepresentation (Keycloak 26) without the secret."""

    id: str
    fields: Mapping[str, Any] = field(repr=False)
    secret: SecretStr | None = None
    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    """Keycloak's id of each of the client's own roles, by name."""

    @property
    def mappers(self) -> dict[str, Mapping[str, Any]]:
        """The client's own protocol mappers by name."""
        return {mapper["name"]: mapper for mapper in self.fields.get("protocolMappers") or ()}


@dataclass(frozen=True)
class SeenGroup:
    """A group, by its name and those of the groups above it, and which roles of the hub's client it has."""

    id: str
    names: tuple[str, ...]
    roles: frozenset[str] = frozenset()

    @property
    def path(self) -> str:
        """Its path as people write it."""
        return "/" + "/".join(self.names)


@dataclass(frozen=True)
class SeenRealm:
    """One realm, as far as our account may see it."""

    may: frozenset[str]
    """Roles of realm-management that our account has."""
    client: SeenClient | None
    groups: tuple[SeenGroup, ...] | None
    """None when the account may not see them."""

    def find_group(self, name: str) -> SeenGroup | None:
        """A group of a profile's name: a path if it begins with a slash, else a group at the top, slashes and all."""
        groups = self.groups or ()
        top = (group for group in groups if group.names == (name.removeprefix("/"),))
        below = (group for group in groups if name.startswith("/") and group.path == name)
        return next(top, None) or next(below, None)


def status_of(client: SeenClient | None) -> tuple[ClientStatus, str]:
    """How a client stands, and why we say so."""
    if client is None:
        return ClientStatus.ABSENT, "there is no such client"
    protocol = client.fields.get("protocol", OPENID_CONNECT)
    if protocol != OPENID_CONNECT:
        return ClientStatus.FOREIGN, f"it is of protocol {protocol}"
    for flag, meaning in (("publicClient", "public, without a secret"), ("bearerOnly", "bearer-only")):
        if client.fields.get(flag):
            return ClientStatus.FOREIGN, f"it is {meaning}"
    return ClientStatus.PRESENT, "it is there"


def parse_client(document: Mapping[str, Any], roles: Sequence[Mapping[str, Any]]) -> SeenClient:
    """A client of a ClientRepresentation and its RoleRepresentations; its secret goes no further than a SecretStr."""
    fields = {key: value for key, value in document.items() if key != "secret"}
    secret = document.get("secret")
    ids = {str(role["name"]): str(role["id"]) for role in roles}
    return SeenClient(str(document["id"]), fields, SecretStr(str(secret)) if secret else None, ids)


def parse_groups(
    documents: Sequence[Mapping[str, Any]], client_id: str, above: tuple[str, ...] = ()
) -> Iterator[SeenGroup]:
    """The groups of GroupRepresentations that are not brief, with those below them."""
    for document in documents:
        names = (*above, str(document["name"]))
        roles = (document.get("clientRoles") or {}).get(client_id, ())
        yield SeenGroup(str(document["id"]), names, frozenset(roles))
        yield from parse_groups(document.get("subGroups") or (), client_id, names)
