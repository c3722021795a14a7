"""Harbor's documents (API 2.0, 2.15) as what we know of them: pure. What is empty, Harbor leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pydantic import SecretStr

from config.registry import Severity
from tasks.registry.state import Fields, SeenArtifact, SeenPolicy, SeenProject, SeenRobot, Vulnerability


def parse_project(document: Fields) -> SeenProject:
    """A project of a Project."""
    retention = (document.get("metadata") or {}).get("retention_id")
    role = document.get("current_user_role_id")
    return SeenProject(int(document["project_id"]), int(role) if role else None, int(retention) if retention else None)


def parse_robot(document: Fields) -> SeenRobot:
    """A robot of a Robot. A pair that is denied to it is none that it has."""
    access = {
        f"{entry['resource']}:{entry['action']}"
        for permission in document.get("permissions") or ()
        for entry in permission.get("access") or ()
        if entry.get("effect", "") != "deny"
    }
    return SeenRobot(
        id=int(document["id"]),
        name=str(document["name"]),
        disabled=bool(document.get("disable")),
        expires_at=int(document.get("expires_at") or 0),
        created=datetime.fromisoformat(document["creation_time"]),
        duration=int(document.get("duration") or 0),
        access=frozenset(access),
        description=str(document.get("description", "")),
    )


def parse_policy(document: Fields) -> SeenPolicy:
    """A policy of a WebhookPolicy. Harbor tells what its targets send as Authorization in clear: it goes no further."""
    targets = [dict(target) for target in document.get("targets") or ()]
    secrets = [str(target.pop("auth_header", "")) for target in targets]
    return SeenPolicy(int(document["id"]), {**document, "targets": targets}, SecretStr("".join(secrets[:1])))


def parse_artifact(document: Fields) -> SeenArtifact:
    """An image of an Artifact. Its scan's summary stands under the one media type that there is a result of."""
    tags = {str(tag["name"]): datetime.fromisoformat(tag["push_time"]) for tag in document.get("tags") or ()}
    scan: Fields = next(iter((document.get("scan_overview") or {}).values()), {})
    return SeenArtifact(str(document["digest"]), tags, str(scan.get("scan_status", "")), str(scan.get("report_id", "")))


def parse_vulnerabilities(document: Fields) -> Iterator[Vulnerability]:
    """What a report found, of the first media type that there is one of."""
    report: Fields = next(iter(document.values()), None) or {}
    for item in report.get("vulnerabilities") or ():
        severity = str(item.get("severity", ""))
        yield Vulnerability(
            id=str(item.get("id", "")),
            severity=Severity(severity) if severity in list(Severity) else Severity.UNKNOWN,
            package=str(item.get("package", "")),
            version=str(item.get("version", "")),
            fix_version=str(item.get("fix_version") or ""),
            link=str(next(iter(item.get("links") or ()), "")),
        )
