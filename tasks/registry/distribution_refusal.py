"""What an answer of a registry's that is none means, and what to do about it: pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from http.client import responses
from typing import Any, cast

from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.trust import UNTRUSTED

SHOWN_CHARACTERS = 200
_LOOK_AT_LOG = "look at the registry's log, then run again"


class Action(StrEnum):
    """What is done in a repository, as scopes of tokens name it."""

    PULL = "pull"
    PUSH = "pull,push"


@dataclass(frozen=True)
class Answer:
    """What a registry answered, as far as it says why not."""

    status: int
    body: bytes = b""
    retry_after: float = 0.0


def refused(asked: str, action: Action, answer: Answer, known: bool) -> HubError:
    """Our error for an answer; ``known`` is whether it was asked as somebody."""
    status, said = answer.status, _said(answer)
    answered = f"{status} {said or responses.get(status, '')}".rstrip()
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Transient("registry", asked, answered, _LOOK_AT_LOG, retry_after=answer.retry_after)
    if action is Action.PUSH:
        return Permanent("registry", asked, answered, _push_remedy(status, said))
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        remedy = "give the account that it is asked as the right to pull there" if known else "make the project public"
        return Permanent("registry", asked, f"{status} {said}".rstrip() + ", it may not be read", remedy)
    return Permanent("registry", asked, answered, _LOOK_AT_LOG)


def unreachable(asked: str, error: Exception) -> HubError:
    """Our error for no answer at all."""
    text = (str(error) or type(error).__name__)[:SHOWN_CHARACTERS]
    if UNTRUSTED in text:
        remedy = (
            "put the CA that signed the registry's certificate into registry.ca,"
            " and the name that the certificate is for into image.reference"
        )
        return Permanent("registry", asked, f"its certificate is not trusted: {text}", remedy)
    remedy = "check its address and registry.ca in the profile, and that this machine reaches it"
    return Transient("registry", asked, text, remedy)


def garbled(asked: str, what: str) -> HubError:
    """Our error for an answer that is not what was asked for: cut off, or of something in between."""
    remedy = "check what stands between here and the registry: that is not its answer"
    return Transient("registry", asked, what, remedy)


_PUSH_REMEDIES: Mapping[int, Sequence[tuple[str, str]]] = {
    HTTPStatus.UNAUTHORIZED: (
        (r"project .*not found", "run rebuild-image with registry.harbor, which makes the project, or make it by hand"),
        (
            r"",
            "run again, so that the robot's secret is renewed; then look at the robot: it needs push in this project",
        ),
    ),
    HTTPStatus.FORBIDDEN: (
        (r"upper limit|quota", "raise the project's quota in Harbor, or have older images deleted (retention)"),
        (r"read.only", "end the registry's read-only mode, then run again"),
        (r"", "look at the robot in Harbor: it needs the right to push to this project"),
    ),
    HTTPStatus.NOT_FOUND: (
        (r"", "check image.reference; if it is right, make the project, or run rebuild-image with registry.harbor"),
    ),
    HTTPStatus.PRECONDITION_FAILED: (
        (r"", "take the tag out of the project's rules of immutable tags, or push under another tag"),
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        (r"", "raise how large a request may be, at the registry or at the proxy before it"),
    ),
}
"""For each status, what helps by words in the answer: the first that match; the last always does."""


def _push_remedy(status: int, said: str) -> str:
    remedies = _PUSH_REMEDIES.get(status, (("", _LOOK_AT_LOG),))
    return next(remedy for words, remedy in remedies if re.search(words, said, re.IGNORECASE))


def _said(answer: Answer) -> str:
    """The registry's own words; nothing of any other answer, since it may quote a secret."""
    try:
        [error, *_more] = cast("Mapping[str, Any]", json.loads(answer.body))["errors"]
        return str(error.get("message") or error["code"])[:SHOWN_CHARACTERS]
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""
