"""An OpenID Connect provider, as everybody may ask it: its discovery document."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

from config.identity import Provider
from tasks.core.address import Address
from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.trust import UNTRUSTED
from tasks.core.wait import parse_retry_after
from tasks.oidc.state import SeenProvider, clock_problems, parse_endpoints

REQUEST_SECONDS = 15
WELL_KNOWN = "/.well-known/openid-configuration"


def read_provider(provider: Provider, transport: httpx.BaseTransport | None = None) -> SeenProvider:
    """The provider's endpoints (OpenID Connect Discovery 1.0, section 4).

    Raises Permanent for an issuer that is wrong or not trusted, Transient when it does not answer well.
    """
    asked = f"GET {provider.issuer}{WELL_KNOWN}"
    address = Address(provider.issuer.rstrip("/"), provider.ca, provider.address, "identity.ca")
    try:
        with closing(address.open_client(REQUEST_SECONDS, transport)) as client:
            answer = client.get(address.url + WELL_KNOWN)
    except httpx.HTTPError as error:
        raise _unreachable(asked, str(error) or type(error).__name__) from error
    if not answer.is_success:
        raise _refused(asked, answer)
    endpoints = parse_endpoints(_document(asked, answer), provider.issuer, asked)
    return SeenProvider(endpoints, clock_problems(provider.issuer, _date(answer), datetime.now(UTC)))


def _document(asked: str, answer: httpx.Response) -> Mapping[str, Any]:
    try:
        document: Any = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, Mapping):
        remedy = "correct identity.issuer: what answers there is no OpenID Connect provider"
        raise Permanent("OIDC", asked, "an answer that is no JSON object", remedy)
    return document


def _date(answer: httpx.Response) -> datetime | None:
    """When it answered, by its own clock. What lay in a cache on the way is older by its Age (RFC 9111, 5.1)."""
    age = answer.headers.get("age", "")
    try:
        date = parsedate_to_datetime(answer.headers.get("date", "")).astimezone(UTC)
    except ValueError:
        return None
    return date + timedelta(seconds=int(age) if age.isdigit() else 0)


def _unreachable(asked: str, said: str) -> HubError:
    if UNTRUSTED in said:
        remedy = (
            "put the CA that signed the provider's certificate into identity.ca,"
            " and the name that the certificate is for into identity.issuer"
        )
        return Permanent("OIDC", asked, f"its certificate is not trusted: {said}", remedy)
    remedy = "check identity.issuer and identity.address, and that this machine reaches the provider"
    return Transient("OIDC", asked, f"cannot be reached: {said}", remedy)


def _refused(asked: str, answer: httpx.Response) -> HubError:
    said = f"{answer.status_code} {answer.reason_phrase}"
    if answer.status_code == HTTPStatus.NOT_FOUND:
        remedy = "correct identity.issuer (for Keycloak, the realm's name at its end), or have the realm made"
        return Permanent("OIDC", asked, f"{said}: there is no such issuer or realm", remedy)
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = parse_retry_after(answer.headers.get("retry-after"))
        remedy = "wait for the provider to recover, then run again"
        return Transient("OIDC", asked, said, remedy, retry_after=wait)
    return Permanent("OIDC", asked, said, "open the address in a browser, and correct identity.issuer")
