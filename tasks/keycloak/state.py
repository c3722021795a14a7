"""What can be seen of a realm that is about one hub: its client, the client's roles, and groups that have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import SecretStr

OPENID_CONNECT = "openid-connect"
MANAGE_CLIENTS, VIEW_USERS, MANAGE_USERS = "manage-clients", "view-users", "manage-users"
"""Roles of the client realm-management, and what each is needed for here: client and roles, looking, groups."""


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
    roles: tuple[str, ...] = ()
    """Names of the client's own roles."""

    @property
    def mappers(self) -> dict[str, Mapping[str, Any]]:
        """The client's own protocol mappers by name."""
        return {mapper["name"]: mapper for mapper in self.fields.get("protocolMappers") or ()}


@dataclass(frozen=True)
class SeenGroup:
    """A group, and which roles of the hub's client it has."""

    id: str
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SeenRealm:
    """``groups`` are those that the profile names and the realm has; None when the account may not see them."""

    may: frozenset[str]
    """Roles of realm-management that our account has."""
    client: SeenClient | None
    groups: Mapping[str, SeenGroup] | None


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


def parse_client(document: Mapping[str, Any], roles: tuple[str, ...]) -> SeenClient:
    """A client of a ClientRepresentation; its secret goes no further than a SecretStr."""
    fields = {key: value for key, value in document.items() if key != "secret"}
    secret = document.get("secret")
    return SeenClient(str(document["id"]), fields, SecretStr(str(secret)) if secret else None, roles)


def parse_group(document: Mapping[str, Any], client_id: str) -> SeenGroup:
    """A group of a GroupRepresentation that is not brief."""
    return SeenGroup(str(document["id"]), frozenset((document.get("clientRoles") or {}).get(client_id, ())))
