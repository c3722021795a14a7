"""What Harbor tells (2.15, formats Default and CloudEvents), as far as it may concern a hub: pure.

Nothing in an event is believed: it is a hint that a tag may stand for something else now, which Harbor is then asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

Fields = Mapping[str, Any]
LONGEST_NAME = 512
_ATTACHMENT = re.compile(r"sha256-[a-f0-9]{64}(\.[a-z]+)?")
"""Tags of signatures, lists of parts and attestations (cosign), and of what refers to an image (OCI 1.1, fallback)."""


class Kind(StrEnum):
    """The events that a hub may be deployed by."""

    PUSHED = "push"
    SCANNED = "scan"


KINDS: Mapping[str, Kind] = {
    "PUSH_ARTIFACT": Kind.PUSHED, "harbor.artifact.pushed": Kind.PUSHED,
    "SCANNING_COMPLETED": Kind.SCANNED, "harbor.scan.completed": Kind.SCANNED,
}  # fmt: skip


@dataclass(frozen=True)
class Event:
    """One event; two that are equal are the same, told twice."""

    kind: Kind
    repository: str
    """Project and repository."""
    tag: str
    digest: str
    occurred_at: int
    """Seconds since 1970."""
    id: str = ""
    """Of the delivery, which stays when Harbor tries again; the format Default has none."""


@dataclass(frozen=True)
class Ignored:
    """An event that concerns no hub, and why."""

    why: str


class Malformed(Exception):
    """What was sent is no event of Harbor's. Its text says what is wrong, and quotes nothing."""


def parse_event(body: bytes) -> Event | Ignored:
    """The event of a request's body. Raises Malformed."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON") from None
    if not isinstance(document, dict):
        raise Malformed("the body is no JSON object")
    fields = cast("Fields", document)
    kind = KINDS.get(_text(fields, "type"))
    if "specversion" in fields:
        data, moment = _object(fields, "data"), _moment(_text(fields, "time"))
        identity = _text(fields, "id")
    elif "event_data" in fields:
        data, moment = _object(fields, "event_data"), _seconds(fields.get("occur_at"))
        identity = ""
    else:
        raise Malformed("it is neither of Harbor's formats, Default or CloudEvents")
    if kind is None:
        return Ignored("events of this type lead to no deploy")
    return _of_image(kind, data, moment, identity)


def _of_image(kind: Kind, data: Fields, moment: int, identity: str) -> Event | Ignored:
    """Harbor tells of one image per event."""
    found: Any = data.get("resources")
    resources = cast("list[Any]", found) if isinstance(found, list) else []
    if not resources or not isinstance(resources[0], dict):
        raise Malformed("resources names no image")
    image = cast("Fields", resources[0])
    repository = _text(_object(data, "repository"), "repo_full_name")
    digest, tag = _text(image, "digest"), _text(image, "tag") if image.get("tag") else ""
    if "sbom_overview" in image or _scan_type(data) == "sbom":
        return Ignored("it is about a list of parts (SBOM)")
    if not tag or tag == digest or "@" in str(image.get("resource_url") or ""):
        return Ignored("it is about a digest, without a tag")
    if _ATTACHMENT.fullmatch(tag):
        return Ignored("it is about a signature or something else that belongs to an image")
    return Event(kind, repository, tag, digest, moment, identity)


def _scan_type(data: Fields) -> str:
    """What was scanned for; Harbor leaves it out where all images were scanned, which is for vulnerabilities."""
    scan: Any = data.get("scan")
    return str(cast("Fields", scan).get("scan_type") or "") if isinstance(scan, dict) else ""


def _object(fields: Fields, key: str) -> Fields:
    found: Any = fields.get(key)
    if not isinstance(found, dict):
        raise Malformed(f"{key} is no object")
    return cast("Fields", found)


def _text(fields: Fields, key: str) -> str:
    found = fields.get(key)
    if not isinstance(found, str) or not found:
        raise Malformed(f"{key} is no text")
    if len(found) > LONGEST_NAME or not found.isprintable():
        raise Malformed(f"{key} is something that nothing is called")
    return found


def _seconds(moment: Any) -> int:
    if type(moment) is not int:
        raise Malformed("occur_at is no number of seconds")
    return moment


def _moment(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        raise Malformed("time is no time as RFC 3339 writes it") from None
