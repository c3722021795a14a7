"""Phase cluster, the hub's secrets: what people chose, what was drawn once, and what the newest healthy release had."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping

from pydantic import SecretStr

from config.identity import KeycloakIdentity, OidcIdentity, PasswordIdentity
from config.secrets import SecretRef
from config.spec import Hub
from tasks.core.kubernetes import Kubernetes
from tasks.core.names import (
    CLIENT_SECRET_KEY,
    KEYS_SECRET,
    METRICS_SERVICE,
    OIDC_SECRET,
    PASSWORDS_SECRET,
    ROUTES_SERVICE,
    copy_of,
    token_key,
)
from tasks.core.objects import SECRET
from tasks.core.secrets import read_secret

KEYS = (
    # The keys that the chart keeps in its Secret, each 32 random bytes in hexadecimal, as the chart draws them.
    "hub.config.ConfigurableHTTPProxy.auth_token",
    "hub.config.JupyterHub.cookie_secret",
    "hub.config.CryptKeeper.keys",
    token_key(ROUTES_SERVICE),
    token_key(METRICS_SERVICE),
)

Chosen = dict[str, dict[str, SecretStr]]
"""What people chose: by the Secret that keeps it for the hub, by key."""


def read_keys(hub: Hub, kubernetes: Kubernetes) -> dict[str, SecretStr]:
    """The keys that were drawn for the hub once, or new ones."""
    kept = _read_data(kubernetes, KEYS_SECRET, hub.cluster.namespace)
    return {key: kept.get(key) or SecretStr(secrets.token_hex(32)) for key in KEYS}


def read_chosen(hub: Hub, kubernetes: Kubernetes) -> Chosen:
    """What people chose, from where the profile says."""
    return {
        name: {key: read_secret(ref, kubernetes) for key, ref in refs.items()}
        for name, refs in chosen_refs(hub).items()
    }


def read_used(hub: Hub, kubernetes: Kubernetes) -> Chosen:
    """What people chose, as the hub has it now."""
    return {name: _read_data(kubernetes, name, hub.cluster.namespace) for name in chosen_refs(hub)}


def read_kept(hub: Hub, kubernetes: Kubernetes) -> Chosen:
    """What people had chosen when a release last passed its checks; without a Secret of which there is no copy."""
    found = {name: _read_data(kubernetes, copy_of(name), hub.cluster.namespace) for name in chosen_refs(hub)}
    return {name: data for name, data in found.items() if data}


def chosen_refs(hub: Hub) -> Mapping[str, Mapping[str, SecretRef]]:
    """Where passwords are, or a client's secret: by the Secret that keeps them. Keycloak's phase keeps its own."""
    match hub.identity:
        case PasswordIdentity() as identity:
            refs = {"password": identity.password, "admin_password": identity.admin_password}
            return {PASSWORDS_SECRET: {key: ref for key, ref in refs.items() if ref}}
        case OidcIdentity() as identity:
            return {OIDC_SECRET: {CLIENT_SECRET_KEY: identity.client_secret}}
        case KeycloakIdentity():
            return {}


def _read_data(kubernetes: Kubernetes, name: str, namespace: str) -> dict[str, SecretStr]:
    data = (kubernetes.read(SECRET, name, namespace) or {}).get("data") or {}
    return {key: SecretStr(base64.b64decode(value).decode()) for key, value in data.items()}
