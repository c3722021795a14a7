"""Realms as tests see them: one that has everything for the hub of the profile thinkube, and what may be wrong."""

from __future__ import annotations

from typing import Any

from config.profiles import load_profile
from tasks.keycloak.plan import new_client, wanted_client
from tasks.keycloak.state import SeenClient, SeenGroup, SeenRealm, parse_client

HUB = load_profile("thinkube")
EVERYTHING = frozenset({"manage-clients", "view-users", "manage-users"})
ROLES = tuple({"name": name, "id": f"id-of-{name}"} for name in ("admin", "user", "gpu"))


def group_with(name: str, *roles: str) -> SeenGroup:
    return SeenGroup(f"id-of-{name}", (name,), frozenset(roles))


GROUPS = (group_with("hub-admins", "admin"), group_with("hub-users", "user"), group_with("hub-gpu", "gpu"))


def client_with(**changed: Any) -> SeenClient:
    """The hub's client as it should be, but for these fields."""
    mappers = [{**mapper, "id": str(index)} for index, mapper in enumerate(new_client(HUB)["protocolMappers"])]
    return parse_client({**wanted_client(HUB), "id": "c", "protocolMappers": mappers, "secret": "s", **changed}, ROLES)


def realm_with(
    seen: SeenClient | None, may: frozenset[str] = EVERYTHING, groups: tuple[SeenGroup, ...] | None = GROUPS
) -> SeenRealm:
    return SeenRealm(may, seen, groups)
