"""Phase keycloak, what should be there: pure, from the spec and what was seen of the realm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, assert_never

from config.identity import KeycloakIdentity
from config.spec import Hub
from tasks.core.change import Action, Change, Plan
from tasks.keycloak.state import MANAGE_USERS, OPENID_CONNECT, ClientStatus, SeenClient, SeenRealm, status_of

Fields = dict[str, Any]


def identity_of(hub: Hub) -> KeycloakIdentity:
    """How people sign in; this phase is for Keycloak alone."""
    assert isinstance(hub.identity, KeycloakIdentity)
    return hub.identity


def wanted_client(hub: Hub) -> Fields:
    """The fields of the client that are ours; every other stays as a person set it. (ClientRepresentation, 26)"""
    return {
        "clientId": identity_of(hub).client_id,
        "protocol": OPENID_CONNECT,
        "enabled": True,
        "publicClient": False,
        "bearerOnly": False,
        "consentRequired": False,
        "clientAuthenticatorType": "client-secret",
        # The authorization code flow alone: no token by a password, by a redirect, or for the client itself.
        "standardFlowEnabled": True,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "serviceAccountsEnabled": False,
        # The hub's tokens can do nothing elsewhere: only this client's own roles are in them.
        "fullScopeAllowed": False,
        "frontchannelLogout": False,
        "rootUrl": hub.url,
        "baseUrl": "/hub/",
        "redirectUris": [hub.callback],
        "webOrigins": [],
        "attributes": {"pkce.code.challenge.method": "S256", "post.logout.redirect.uris": hub.signed_out},
    }


def wanted_mappers(hub: Hub) -> tuple[Fields, ...]:
    """What the hub needs in userinfo: the client's roles, the user's name and address."""
    identity = identity_of(hub)
    sent = {"userinfo.token.claim": "true", "id.token.claim": "true", "access.token.claim": "false"}
    roles = {
        "usermodel.clientRoleMapping.clientId": identity.client_id,
        "claim.name": identity.roles_claim,
        "jsonType.label": "String",
        "multivalued": "true",
    }
    return (
        _mapper("hub roles", "oidc-usermodel-client-role-mapper", {**roles, **sent}),
        *(
            _mapper(
                f"hub {attribute}",
                "oidc-usermodel-attribute-mapper",
                {"user.attribute": attribute, "claim.name": claim, "jsonType.label": "String", **sent},
            )
            for attribute, claim in (("username", identity.username_claim), ("email", "email"))
        ),
    )


def new_client(hub: Hub) -> Fields:
    """The client as it is made. Keycloak draws its secret."""
    return {**wanted_client(hub), "protocolMappers": list(wanted_mappers(hub))}


def wanted_groups(hub: Hub) -> dict[str, frozenset[str]]:
    """The roles that each group gives its members."""
    groups: dict[str, set[str]] = {}
    for name, role in identity_of(hub).roles.items():
        for group in role.groups:
            groups.setdefault(_one_name(group), set()).add(name)
    return {group: frozenset(roles) for group, roles in groups.items()}


def _one_name(group: str) -> str:
    """The one way to write a group at the top: /hub-users is hub-users."""
    return group.removeprefix("/") if group.count("/") == 1 else group


def client_differences(hub: Hub, client: SeenClient) -> Fields:
    """Fields of ours that are otherwise, each as it should be."""
    wanted = wanted_client(hub)
    attributes = wanted.pop("attributes")
    have = client.fields.get("attributes") or {}
    # What is empty or false may be left out of a representation.
    fields = {key: want for key, want in wanted.items() if want != (client.fields.get(key) or type(want)())}
    differing = {name: want for name, want in attributes.items() if have.get(name) != want}
    return {**fields, **({"attributes": differing} if differing else {})}


def mapper_differences(hub: Hub, client: SeenClient) -> tuple[Fields, ...]:
    """Mappers of ours that are missing or otherwise, each as it should be; with its id where it is there."""
    changed: list[Fields] = []
    for mapper in wanted_mappers(hub):
        seen = client.mappers.get(mapper["name"])
        have: Mapping[str, Any] = (seen or {}).get("config") or {}
        same = seen is not None and seen.get("protocolMapper") == mapper["protocolMapper"]
        if not same or any(have.get(key) != value for key, value in mapper["config"].items()):
            known = {"id": seen["id"]} if seen else {}
            changed.append({**mapper, **known, "config": {**have, **mapper["config"]}})
    return tuple(changed)


def plan_client(hub: Hub, realm: SeenRealm) -> Plan:
    """What ``ensure_client`` would change."""
    title = f"Client {identity_of(hub).client_id}"
    status, _ = status_of(realm.client)
    match status:
        case ClientStatus.ABSENT:
            return Plan((Change.of(Action.CREATE, title, "", hub.callback),))
        case ClientStatus.FOREIGN:
            return Plan()
        case ClientStatus.PRESENT:
            assert realm.client
            return Plan((*_field_changes(title, hub, realm.client), *_mapper_changes(title, hub, realm.client)))
        case _:
            assert_never(status)


def plan_roles(hub: Hub, realm: SeenRealm) -> Plan:
    """What ``ensure_roles`` would change: roles of the client, and groups that have them where we may."""
    there = realm.client.roles if realm.client else ()
    roles = [Change.of(Action.CREATE, f"Client role {role}") for role in hub.roles if role not in there]
    return Plan((*roles, *(group_changes(hub, realm) if MANAGE_USERS in realm.may else ())))


def group_changes(hub: Hub, realm: SeenRealm) -> Iterator[Change]:
    """Groups that are missing, and roles that one has not, or has and should not. Other groups are left alone."""
    if realm.groups is None:
        return
    for group, wanted in wanted_groups(hub).items():
        seen = realm.find_group(group)
        if seen is None:
            yield Change.of(Action.CREATE, f"Group {group}")
        have = (seen.roles if seen else frozenset[str]()) & hub.roles.keys()
        for role in sorted(wanted - have):
            yield Change.of(Action.CREATE, f"Role {role} of group {group}")
        for role in sorted(have - wanted):
            yield Change.of(Action.DELETE, f"Role {role} of group {group}")


def roles_to_take(present: Hub, back: Hub, realm: SeenRealm) -> dict[str, frozenset[str]]:
    """By group, the roles that it has by the present profile alone, and ``back`` has no word for."""
    if not same_client(present, back):
        return {}
    before, after = wanted_groups(present), wanted_groups(back)
    found: dict[str, frozenset[str]] = {}
    for group, roles in before.items():
        seen = realm.find_group(group)
        taken = (roles - after.get(group, frozenset())) & (seen.roles if seen else frozenset())
        if taken:
            found[group] = taken
    return found


def left_behind(present: Hub, back: Hub) -> tuple[str, ...]:
    """What the present profile has of this phase, and nothing refers to once another one is back."""
    if not isinstance(present.identity, KeycloakIdentity):
        return ()
    if not same_client(present, back):
        return (f"Client {present.identity.client_id}",)
    groups = wanted_groups(present).keys() - wanted_groups(back).keys()
    roles = present.roles.keys() - back.roles.keys()
    return (*(f"Group {group}" for group in sorted(groups)), *(f"Client role {role}" for role in sorted(roles)))


def same_client(one: Hub, other: Hub) -> bool:
    """Whether two hubs have the same client of the same realm."""
    mine, theirs = one.identity, other.identity
    if not isinstance(mine, KeycloakIdentity) or not isinstance(theirs, KeycloakIdentity):
        return False
    return (mine.issuer, mine.client_id) == (theirs.issuer, theirs.client_id)


def _mapper(name: str, kind: str, config: dict[str, str]) -> Fields:
    return {"name": name, "protocol": OPENID_CONNECT, "protocolMapper": kind, "config": config}


def _field_changes(title: str, hub: Hub, client: SeenClient) -> Iterator[Change]:
    for key, want in client_differences(hub, client).items():
        have = client.fields.get(key)
        pairs = {f"{key}.{name}": (name, value) for name, value in want.items()} if key == "attributes" else {}
        for path, (name, value) in pairs.items():
            yield Change.of(Action.UPDATE, f"{title} {path}", (have or {}).get(name, ""), value)
        if not pairs:
            yield Change.of(Action.UPDATE, f"{title} {key}", "" if have is None else have, want)


def _mapper_changes(title: str, hub: Hub, client: SeenClient) -> Iterator[Change]:
    for mapper in mapper_differences(hub, client):
        what = f"{title} mapper {mapper['name']}"
        seen = client.mappers.get(mapper["name"])
        if seen is None:
            yield Change.of(Action.CREATE, what)
            continue
        have = {**(seen.get("config") or {}), "type": seen.get("protocolMapper")}
        for key, value in {**mapper["config"], "type": mapper["protocolMapper"]}.items():
            if have.get(key) != value:
                yield Change.of(Action.UPDATE, f"{what} {key}", have.get(key, ""), value)
