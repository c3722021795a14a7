"""People at a hub, of the sandbox's realm or by a shared password, each as a user meets it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from keycloak import KeycloakAdmin
from pydantic import SecretStr

from config.identity import KeycloakIdentity
from config.profiles import load_profile
from deployments.sandbox.paths import CLONE
from tasks.core.address import Address
from tasks.core.objects import POD
from tasks.validation.client import UserSession
from tasks.validation.entry import Entry, ProviderDoor
from tests.sandbox.conftest import Profile, Sandbox

START_SECONDS = 120


def session_of(profile: Profile, user: str) -> UserSession:
    """A browser of this user's, with an empty cookie jar."""
    hub = load_profile(str(profile))
    assert isinstance(hub.identity, KeycloakIdentity)
    provider = Address(hub.identity.issuer, hub.identity.ca, hub.identity.address)
    return UserSession(Address.of(hub), user, ProviderDoor(Address.of(hub), provider))


def user_of(profile: Profile, user: str) -> UserSession:
    """A browser of this user's, who is signed in by the password that everybody shares."""
    hub = load_profile(str(profile))
    session = UserSession(Address(hub.url, str(CLONE / str(hub.checks.ca)), hub.checks.address), user)
    assert session.sign_in(SecretStr(profile.password.read_text().strip())) is Entry.IN
    return session


def password_of(sandbox: Sandbox) -> SecretStr:
    """That of everybody in the realm."""
    return SecretStr(sandbox.paths.keycloak_users.read_text().strip())


def start(session: UserSession, **options: str) -> None:
    """The user's server runs."""
    session.start_server(START_SECONDS, lambda _said: None, lambda: None, options)


def pods_of(sandbox: Sandbox, profile: Profile, user: str) -> list[dict[str, Any]]:
    """The pods of this user's servers."""
    found = sandbox.kubernetes.list(POD, profile.namespace, f"hub.jupyter.org/username={user}")
    return [dict(pod) for pod in found]


@contextmanager
def newcomer(sandbox: Sandbox, admin: KeycloakAdmin, name: str, *groups: str) -> Generator[str]:
    """Somebody in these groups of the realm, by their id there, who is gone afterwards."""
    password = {"type": "password", "value": password_of(sandbox).get_secret_value(), "temporary": False}
    about = {"email": f"{name}@example.internal", "emailVerified": True, "firstName": name, "lastName": name}
    user = admin.create_user({"username": name, "enabled": True, **about, "credentials": [password]})
    try:
        for group in groups:
            admin.group_user_add(user, group_id(admin, group))
        yield user
    finally:
        admin.delete_user(user)


def group_id(admin: KeycloakAdmin, group: str) -> str:
    """A group's id in the realm."""
    return str(admin.get_group_by_path(f"/{group}")["id"])
