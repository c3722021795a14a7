"""What an answer of Keycloak's that is none means, and what to do about it: pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from http.client import responses
from typing import Any, cast

from tasks.core.errors import Conflict, HubError, Permanent, Transient
from tasks.core.trust import UNTRUSTED

SHOWN_CHARACTERS = 200
TEXTS = ("errorMessage", "error_description", "message", "error")
"""Where Keycloak 26 says what is wrong: the admin API in the first, the token endpoint in the second."""


class NotFound(Permanent):
    """There is no such thing in the realm, or no such realm."""


def refused(asked: str, role: str | None, status: int, body: bytes | None, retry_after: float = 0.0) -> HubError:
    """Our error for an answer; ``role`` is what the account needs for that, None where it is still to get a token."""
    answered = f"{status} {_said(status, body)}"
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        remedy = "wait for Keycloak to recover, then run again"
        return Transient("Keycloak", asked, answered, remedy, retry_after=retry_after)
    if status == HTTPStatus.NOT_FOUND:
        remedy = "check the realm in identity.issuer; if it is right, somebody deleted this meanwhile: run again"
        return NotFound("Keycloak", asked, answered, remedy)
    if status == HTTPStatus.CONFLICT:
        return Conflict("Keycloak", asked, answered, "somebody made it meanwhile: run again")
    if status == HTTPStatus.FORBIDDEN and role:
        remedy = f"have the realm's owner give the account {role} (client realm-management, Service accounts roles)"
        return Permanent("Keycloak", asked, f"{answered}: the account lacks the role {role}", remedy)
    return Permanent("Keycloak", asked, answered, _remedy(role, status))


def unreachable(asked: str, error: BaseException) -> HubError:
    """Our error for no answer at all."""
    text = str(error)
    if UNTRUSTED in text:
        remedy = (
            "put the CA that signed Keycloak's certificate into identity.ca,"
            " and the name that the certificate is for into identity.issuer"
        )
        return Permanent("Keycloak", asked, f"its certificate is not trusted: {_innermost(error)}", remedy)
    remedy = "check identity.issuer and identity.address, and that this machine reaches Keycloak"
    return Transient("Keycloak", asked, f"cannot be reached: {_innermost(error)}", remedy)


def not_json(asked: str) -> HubError:
    """Our error for an answer that is not Keycloak's."""
    remedy = "check what stands between here and Keycloak: that is not its answer"
    return Transient("Keycloak", asked, "an answer that is not what it should be", remedy)


def _remedy(role: str | None, status: int) -> str:
    if role is None or status == HTTPStatus.UNAUTHORIZED:
        return "check identity.deployer: its client, that it has a service account, and its secret"
    if status == HTTPStatus.BAD_REQUEST:
        return "change what the message names, or have the realm's owner change the client policy that forbids it"
    return "read the message, and Keycloak's log"


def _said(status: int, body: bytes | None) -> str:
    """Keycloak's own words; of any other answer only what its status means, since it may quote a secret."""
    try:
        document: Any = json.loads(body or b"")
    except ValueError:
        document = None
    if isinstance(document, Mapping):
        found = cast("Mapping[str, Any]", document)
        texts = [found[key] for key in TEXTS if isinstance(found.get(key), str)]
        if texts:
            return texts[0][:SHOWN_CHARACTERS]
    return responses.get(status, "")


def _innermost(error: BaseException) -> str:
    """What really happened, without the shells that requests and urllib3 put around it."""
    inner = error.args[0] if error.args else error
    return str(getattr(inner, "reason", inner)).rpartition("): ")[2][:SHOWN_CHARACTERS]
