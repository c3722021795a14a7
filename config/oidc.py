"""What the identity phases find out about a provider, and the release phase gives to the hub."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoints:
    """A provider's addresses, as its discovery document tells them (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization: str
    token: str
    userinfo: str
    end_session: str | None
    """Where a browser ends the provider's session (RP-Initiated Logout 1.0); None when it has no such place."""


@dataclass(frozen=True)
class SignIn:
    """How a hub signs people in at a provider.

    ``secret_mark`` changes with the client's secret and does not tell it; None while there is no client yet.
    """

    endpoints: Endpoints
    secret_mark: str | None
