"""The realm that operations already have when a hub comes: people in groups, and an account for Hubwright."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from keycloak import KeycloakAdmin
from keycloak.exceptions import KeycloakError, KeycloakGetError

from deployments.sandbox.addresses import KEYCLOAK_PORT, NODE_IP
from deployments.sandbox.keycloak import ADMIN
from deployments.sandbox.paths import Paths
from tasks.core.errors import Permanent
from tasks.core.kubernetes import NOT_FOUND

REALM = "thinkube"
DEPLOYER = "hubwright"
DEPLOYER_ROLES = ("manage-clients", "manage-users", "view-users")
"""Of the client realm-management; what each is for: README, "Signing in with Keycloak"."""
USERS = {
    "alice": ("hub-admins",),
    "bob": ("hub-users",),
    "carol": ("hub-users", "hub-gpu"),
    "mallory": (),
    "hubwright-check": ("hub-users",),
    "hubwright-check-admin": ("hub-admins",),
    "hubwright-check-outsider": (),
}
"""Who is there, and in which groups."""
VERSION = "hubwright.version"
"""The realm's attribute that says which version of this description it was made by."""
REQUEST_SECONDS = 60


def connect(paths: Paths, realm: str = REALM) -> KeycloakAdmin:
    """Keycloak as its first administrator, in one realm. The flows never do this."""
    return KeycloakAdmin(
        server_url=f"https://{NODE_IP}:{KEYCLOAK_PORT}",
        username=ADMIN,
        password=paths.keycloak_admin.read_text().strip(),
        realm_name=realm,
        user_realm_name="master",
        verify=str(paths.ca),
        timeout=REQUEST_SECONDS,
        max_retries=0,
    )


def ensure_realm(paths: Paths) -> None:
    """The realm is there as described here. One that was is untouched; one of an older description is made anew."""
    secrets = (paths.keycloak_deployer, paths.keycloak_users)
    wanted = realm_document(*(file.read_text().strip() for file in secrets))
    admin = connect(paths)
    try:
        seen = _read_version(admin)
        if seen == wanted["attributes"][VERSION]:
            return
        if seen is not None:
            admin.delete_realm(REALM)
        admin.create_realm(wanted)
    except KeycloakError as error:
        remedy = f"read {paths.log('keycloak')}, then `make up` again"
        raise Permanent("Keycloak", f"make realm {REALM}", str(error), remedy) from error


def _read_version(admin: KeycloakAdmin) -> str | None:
    """By which version of the description the realm was made; None when there is no realm."""
    try:
        realm = admin.get_realm(REALM)
    except KeycloakGetError as error:
        if error.response_code == NOT_FOUND:
            return None
        raise
    return str(realm.get("attributes", {}).get(VERSION, ""))


def realm_document(deployer_secret: str, password: str) -> dict[str, Any]:
    """The realm as Keycloak 26 imports it (POST /admin/realms, RealmRepresentation). Pure."""
    document: dict[str, Any] = {
        "realm": REALM,
        "enabled": True,
        "sslRequired": "all",
        # They are the count of writes.
        "adminEventsEnabled": True,
        "eventsEnabled": True,
        "accessTokenLifespan": 300,
        "groups": [{"name": group} for group in sorted({group for groups in USERS.values() for group in groups})],
        "clients": [_deployer(deployer_secret)],
        "users": [_deployers_user(), *(_user(name, password) for name in USERS)],
    }
    version = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
    return {**document, "attributes": {VERSION: version}}


def _deployer(secret: str) -> dict[str, Any]:
    return {
        "clientId": DEPLOYER,
        "protocol": "openid-connect",
        "clientAuthenticatorType": "client-secret",
        "secret": secret,
        "serviceAccountsEnabled": True,
        "standardFlowEnabled": False,
        "directAccessGrantsEnabled": False,
    }


def _deployers_user() -> dict[str, Any]:
    return {
        "username": f"service-account-{DEPLOYER}",
        "enabled": True,
        "serviceAccountClientId": DEPLOYER,
        "clientRoles": {"realm-management": list(DEPLOYER_ROLES)},
    }


def _user(name: str, password: str) -> dict[str, Any]:
    return {
        "username": name,
        "enabled": True,
        "email": f"{name}@example.internal",
        "emailVerified": True,
        # Whose profile lacks one of these is asked for it at the first sign-in.
        "firstName": name.capitalize(),
        "lastName": "Example",
        "credentials": [{"type": "password", "value": password, "temporary": False}],
        "groups": [f"/{group}" for group in USERS[name]],
    }
