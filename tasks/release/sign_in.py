"""How people sign in, as values of the chart: pure, and without a secret in them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from config.identity import KeycloakIdentity, PasswordIdentity, Provider
from config.oidc import SignIn
from config.spec import Hub
from tasks.core.names import CLIENT_SECRET_KEY, OIDC_SECRET, PASSWORDS_SECRET
from tasks.release.snippets import read_snippet

Values = dict[str, Any]

PASSWORD_ENV = "HUBWRIGHT_PASSWORD"
ADMIN_PASSWORD_ENV = "HUBWRIGHT_ADMIN_PASSWORD"
AUTHENTICATOR_TRAITS = {
    # Traits of JupyterHub 5.5 (jupyterhub.auth, jupyterhub.authenticators.shared) and where each is read from.
    "dummy": {"DummyAuthenticator.password": PASSWORD_ENV},
    "shared-password": {
        "SharedPasswordAuthenticator.user_password": PASSWORD_ENV,
        "SharedPasswordAuthenticator.admin_password": ADMIN_PASSWORD_ENV,
    },
}
CLIENT_SECRET_ENV = "OAUTH_CLIENT_SECRET"
"""Where OAuthenticator 17.4 looks for the client's secret."""
CA_FILE = PurePosixPath("/usr/local/etc/hubwright/provider-ca.crt")
REFRESH_SECONDS = 300
"""For so long the hub goes by what the provider said of a user. With the user's next request after that, which their
running server makes too, and before each start of a server, it asks anew. So a role that was taken away, or the whole
account, counts after five minutes at most. Who has no role left is out of the hub then, and out of a server of theirs
after five more, since that goes by the hub's word for as long. A running server keeps its size until it is stopped."""

PROVIDER_SECONDS = 10
"""A page of the hub waits no longer for a provider that does not answer."""


def password_values(identity: PasswordIdentity) -> Values:
    """The hub's part for a password that the hub itself knows."""
    return {
        "config": {
            "JupyterHub": {"authenticator_class": identity.kind},
            # Since JupyterHub 5 nobody may enter unless allowed; whoever knows the password may.
            "Authenticator": {"allow_all": True, "admin_users": list(identity.admins)},
        },
        "extraEnv": _password_env(identity),
        "extraConfig": {"hubwright-passwords": _password_config(identity)},
    }


def provider_values(identity: Provider, sign_in: SignIn, authority: str | None, hub: Hub) -> Values:
    """The hub's part for an identity provider. ``authority`` is the PEM text of ``identity.ca``."""
    files = {"provider-ca": {"mountPath": str(CA_FILE), "stringData": authority}} if authority else {}
    trusted = {"ca_certs": str(CA_FILE)} if authority else {}
    secret = {"secretKeyRef": {"name": OIDC_SECRET, "key": CLIENT_SECRET_KEY}}
    return {
        "config": {
            "JupyterHub": {"authenticator_class": "generic-oauth"},
            # Roles are asked for again before each start of a server, and now and then when pages are used.
            "Authenticator": {
                "enable_auth_state": True,
                "refresh_pre_spawn": True,
                "auth_refresh_age": REFRESH_SECONDS,
                "manage_groups": True,
            },
            "GenericOAuthenticator": {
                "client_id": identity.client_id,
                "oauth_callback_url": hub.callback,
                "authorize_url": sign_in.endpoints.authorization,
                "token_url": sign_in.endpoints.token,
                "userdata_url": sign_in.endpoints.userinfo,
                "login_service": "Keycloak" if isinstance(identity, KeycloakIdentity) else "your company's account",
                "username_claim": identity.username_claim,
                "scope": list(identity.scopes),
                # The hub's groups are the roles: who has none may not enter.
                "allowed_groups": list(identity.roles),
                "admin_groups": [name for name, role in identity.roles.items() if role.admin],
                "custom_403_message": (
                    f"You have signed in, and have none of the roles that let people in here "
                    f"({', '.join(identity.roles)}): ask whoever runs this hub for one."
                ),
                "http_request_kwargs": {"request_timeout": PROVIDER_SECONDS, **trusted},
            },
        },
        "extraEnv": {CLIENT_SECRET_ENV: {"valueFrom": secret}},
        "extraConfig": {"hubwright-provider": read_snippet("provider")},
        **({"extraFiles": files} if files else {}),
    }


def provider_data(identity: Provider, sign_in: SignIn, hub: Hub) -> Values:
    """What the provider's snippet needs to know."""
    return {
        "rolesClaim": identity.roles_claim,
        "clientId": identity.client_id,
        "signedOut": hub.signed_out,
        "endSession": sign_in.endpoints.end_session or "",
    }


def _password_env(identity: PasswordIdentity) -> Values:
    env = {PASSWORD_ENV: "password"} | ({ADMIN_PASSWORD_ENV: "admin_password"} if identity.admin_password else {})
    return {name: {"valueFrom": {"secretKeyRef": {"name": PASSWORDS_SECRET, "key": key}}} for name, key in env.items()}


def _password_config(identity: PasswordIdentity) -> str:
    given = {PASSWORD_ENV, ADMIN_PASSWORD_ENV} if identity.admin_password else {PASSWORD_ENV}
    traits = AUTHENTICATOR_TRAITS[identity.kind]
    lines = [f'c.{trait} = os.environ["{env}"]' for trait, env in traits.items() if env in given]
    return "\n".join(["import os", *lines, ""])
