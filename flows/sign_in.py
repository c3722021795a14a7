"""How a deploy sees to it that people can sign in: it looks at their provider, and sets Keycloak up."""

from __future__ import annotations

from dataclasses import dataclass, field

from config.identity import KeycloakIdentity, PasswordIdentity
from config.oidc import SignIn
from config.spec import Hub
from tasks.core.change import Plan
from tasks.core.fence import Fence
from tasks.core.problems import Gathering
from tasks.keycloak.back import plan_keycloak_back, take_roles_back
from tasks.keycloak.phase import check_claims, ensure_client, ensure_client_secret, ensure_roles, look_at_keycloak
from tasks.oidc.phase import look_at_provider, mark_client_secret


@dataclass(frozen=True)
class SeenSignIn:
    """How people sign in as things are, and what a deploy would change about that."""

    sign_in: SignIn | None = None
    """None where they sign in by a password of the hub's own."""
    plan: Plan = field(default_factory=Plan)


def look_at_sign_in(hub: Hub, looks: Gathering) -> SeenSignIn | None:
    """What the provider is like; None when it cannot be seen, and ``looks`` has why. Reads only."""
    if isinstance(hub.identity, PasswordIdentity):
        return SeenSignIn()
    provider = looks.attempt(look_at_provider, hub)
    if provider is None:
        return None
    looks.add(provider.problems)
    endpoints = provider.endpoints
    if not isinstance(hub.identity, KeycloakIdentity):
        mark = looks.attempt(mark_client_secret, hub)
        return SeenSignIn(SignIn(endpoints, mark)) if mark else None
    look = looks.attempt(look_at_keycloak, hub)
    if look is None:
        return None
    looks.add(look.problems)
    return SeenSignIn(SignIn(endpoints, look.secret_mark), look.plan)


def plan_sign_in_back(present: Hub, back: Hub) -> Plan:
    """What going back changes at the provider; nothing where that is none of ours. Reads only."""
    return plan_keycloak_back(present, back) if isinstance(back.identity, KeycloakIdentity) else Plan()


def bring_sign_in_back(present: Hub, back: Hub, fence: Fence) -> None:
    """Keycloak is as ``back`` has it, and what only the present hub gave to groups is taken from them."""
    if isinstance(back.identity, KeycloakIdentity):
        ensure_client(back, fence)
        take_roles_back(present, back, fence)
        ensure_roles(back, fence)
        ensure_client_secret(back, fence)


def set_up_sign_in(hub: Hub, sign_in: SignIn | None, fence: Fence) -> SignIn | None:
    """People with a role can sign in, and Keycloak itself says so; returns how the hub has to ask it."""
    if sign_in is None or not isinstance(hub.identity, KeycloakIdentity):
        return sign_in
    ensure_client(hub, fence)
    ensure_roles(hub, fence)
    ready = SignIn(sign_in.endpoints, ensure_client_secret(hub, fence))
    check_claims(hub)
    return ready
