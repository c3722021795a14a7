"""What a webhook says, in both of Harbor's formats. Pure."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deployments.sandbox.harbor.store import Row

CLOUD_EVENTS = {
    "PUSH_ARTIFACT": "harbor.artifact.pushed",
    "PULL_ARTIFACT": "harbor.artifact.pulled",
    "DELETE_ARTIFACT": "harbor.artifact.deleted",
    "SCANNING_COMPLETED": "harbor.scan.completed",
    "SCANNING_FAILED": "harbor.scan.failed",
    "SCANNING_STOPPED": "harbor.scan.stopped",
}
EVENT_TYPES = (*CLOUD_EVENTS, "QUOTA_EXCEED", "QUOTA_WARNING", "REPLICATION", "TAG_RETENTION")
"""A policy may name any of them; the stand-in sends the first six."""


@dataclass(frozen=True)
class Event:
    """Something that happened to an artifact of a repository; ``more`` stands beside, ``overview`` in its resource."""

    kind: str
    occurred: int
    operator: str
    request: str
    digest: str
    tag: str
    repository: str
    public: bool
    created: int | None
    overview: Row
    more: Row


def event_data(event: Event, host: str) -> Row:
    """What both formats say of the event."""
    namespace, _slash, name = event.repository.partition("/")
    is_tag = event.tag and event.tag != event.digest
    url = f"{host}/{event.repository}{':' if is_tag else '@'}{event.tag if is_tag else event.digest}"
    resource = {"digest": event.digest, **({"tag": event.tag} if event.tag else {}), "resource_url": url}
    repository: Row = {
        **({"date_created": event.created} if event.created is not None else {}),
        "name": name,
        "namespace": namespace,
        "repo_full_name": event.repository,
        "repo_type": "public" if event.public else "private",
    }
    return {"resources": [resource | event.overview], "repository": repository, **event.more}


def message(event: Event, host: str, policy: Row, target: Row) -> tuple[str, dict[str, str]]:
    """Body and headers of one delivery."""
    headers = {"Authorization": target["auth_header"]} if target.get("auth_header") else {}
    data = event_data(event, host)
    if target.get("payload_format") != "CloudEvents":
        body: dict[str, Any] = {
            "type": event.kind,
            "occur_at": event.occurred,
            "operator": event.operator,
            "event_data": data,
        }
        return json.dumps(body), headers | {"Content-Type": "application/json"}
    body = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"/projects/{policy['project_id']}/webhook/policies/{policy['id']}",
        "type": CLOUD_EVENTS[event.kind],
        "datacontenttype": "application/json",
        "time": datetime.fromtimestamp(event.occurred, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": data,
        "operator": event.operator,
        "requestid": event.request,
    }
    return json.dumps(body), headers | {"Content-Type": "application/cloudevents+json"}
