"""What an answer of Harbor's that is none means, and what to do about it: pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import responses
from typing import Any, cast

from tasks.core.errors import Conflict, HubError, Permanent, Transient
from tasks.core.trust import UNTRUSTED

SHOWN_CHARACTERS = 200
READ_ONLY = "read only"
"""Both in Harbor's words (2.15: middleware/readonly, middleware/quota): its code for them is the same."""
OVER_QUOTA = "upper limit"


class NotFound(Permanent):
    """There is no such thing, or no such project."""


class Forbidden(Permanent):
    """The account may not do this, or the project is not there: Harbor does not tell one from the other."""


class Unmet(Permanent):
    """Something else has to be so first; of a scan: that there is a scanner."""


def refused(asked: str, who: str, status: int, body: bytes | None, retry_after: float = 0.0) -> HubError:
    """Our error for an answer to ``who`` asked."""
    answered = f"{status} {_said(status, body)}"
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        remedy = "wait for Harbor to recover, then run again; its log says more than its answer"
        return Transient("Harbor", asked, answered, remedy, retry_after=retry_after)
    if status < HTTPStatus.BAD_REQUEST:
        remedy = "check what stands between here and Harbor: that is not its answer"
        return Permanent("Harbor", asked, answered, remedy)
    if status == HTTPStatus.FORBIDDEN:
        return _forbidden(asked, who, answered)
    kinds: Mapping[int, type[Permanent]] = {404: NotFound, 409: Conflict, 412: Unmet}
    return kinds.get(status, Permanent)("Harbor", asked, answered, _remedy(status, who))


def unreachable(asked: str, error: BaseException) -> HubError:
    """Our error for no answer at all."""
    text = (str(error) or type(error).__name__)[:SHOWN_CHARACTERS]
    if UNTRUSTED in text:
        remedy = (
            "put the CA that signed Harbor's certificate into registry.ca,"
            " and the name that the certificate is for into image.reference"
        )
        return Permanent("Harbor", asked, f"its certificate is not trusted: {text}", remedy)
    remedy = "check the host in image.reference, and that this machine reaches Harbor"
    return Transient("Harbor", asked, f"cannot be reached: {text}", remedy)


def not_json(asked: str) -> HubError:
    """Our error for an answer that is not Harbor's."""
    remedy = "check what stands between here and Harbor: that is not its answer"
    return Transient("Harbor", asked, "an answer that is not what it should be", remedy)


def _forbidden(asked: str, who: str, answered: str) -> HubError:
    if READ_ONLY in answered:
        remedy = "have Harbor's administrator end its read-only mode (Configuration, System Settings), then run again"
        return Permanent("Harbor", asked, answered, remedy)
    if OVER_QUOTA in answered:
        remedy = "have Harbor's administrator raise the project's quota, or delete images that nobody needs"
        return Permanent("Harbor", asked, answered, remedy)
    remedy = f"have somebody make {who} an administrator of the project (its page, Members)"
    if "$" in who:
        remedy = f"deploy the hub, so that the robot {who} gets the rights that it needs, then run again"
    return Forbidden("Harbor", asked, f"{answered}: {who} may not do this", remedy)


def _remedy(status: int, who: str) -> str:
    remedies = {
        401: f"check registry.harbor.user and the password of {who}: Harbor does not know this login",
        404: "check image.reference; if it is right, somebody deleted this meanwhile: run again",
        409: "somebody made it or works on it meanwhile: look at it in Harbor, and run again",
        412: "read the message: Harbor wants something else to be so first",
    }
    if status == HTTPStatus.UNAUTHORIZED and "$" in who:
        return f"deploy the hub, so that the robot {who} gets a new secret, then run again"
    return remedies.get(status, "read the message, and change in the profile what it names")


def _said(status: int, body: bytes | None) -> str:
    """Harbor's own words; of any other answer only what its status means, since it may quote a secret."""
    try:
        document: Any = json.loads(body or b"")
    except ValueError:
        document = None
    errors = cast("Mapping[str, Any]", document).get("errors") if isinstance(document, Mapping) else None
    texts = [
        f"{error.get('code', '')} {error.get('message', '')}".strip()
        for error in (cast("Sequence[Any]", errors) if isinstance(errors, list) else ())
        if isinstance(error, Mapping)
    ]
    return "; ".join(texts)[:SHOWN_CHARACTERS] or responses.get(status, "")
