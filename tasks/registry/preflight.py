"""Phase registry, what stands in its way, is left to a person, or is worth knowing: pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from config.spec import Hub
from tasks.core.problems import Problem
from tasks.registry.policies import other_schedule
from tasks.registry.state import ADMIN_ROLE, Kind, RobotStatus, SeenHarbor, harbor_of, place_of, robot_name, status_of


def registry_problems(hub: Hub, seen: SeenHarbor, now: datetime) -> tuple[Problem, ...]:
    """What keeps this phase from its work, and what a person has to know or to do."""
    rights = tuple(_missing_rights(hub, seen))
    robots = () if rights else (*_disabled(hub, seen, now), *_foreign_secrets(hub, seen))
    today = (*_no_scanner(hub, seen), *_schedule(hub, seen), *_expired_allowances(hub, now.date()))
    return (*_read_only(seen), *rights, *robots, *today)


def _read_only(seen: SeenHarbor) -> Iterator[Problem]:
    if seen.read_only:
        remedy = "have Harbor's administrator end its read-only mode (Configuration, System Settings)"
        yield Problem("Harbor", "it is in read-only mode: nothing can be set up, and nothing pushed", remedy)


def _missing_rights(hub: Hub, seen: SeenHarbor) -> Iterator[Problem]:
    user, project = harbor_of(hub).user, place_of(hub).project
    remedy = f"have somebody make {user} an administrator of project {project} (its page, Members)"
    if seen.hidden:
        yield Problem(f"Project {project}", f"it is there, and user {user} may not see it", remedy)
    elif seen.project and not seen.managed:
        found = f"user {user} is no administrator of it, but of role {seen.project.role} (administrators: {ADMIN_ROLE})"
        yield Problem(f"Project {project}", found, remedy)
    elif not seen.managed:
        remedy = f"have Harbor's administrator make it, and {user} its administrator; or let everybody make projects"
        yield Problem(f"Project {project}", f"it is not there, and user {user} may make none", remedy)


def _disabled(hub: Hub, seen: SeenHarbor, now: datetime) -> Iterator[Problem]:
    for kind in Kind:
        status, reason = status_of(hub, seen, kind, now)
        if status is RobotStatus.DISABLED:
            remedy = "ask who did it, and why; then enable it in Harbor, or delete it there to have it made anew"
            yield Problem(f"Robot {robot_name(hub, kind)}", f"{reason}, so it is left so", remedy)


def _foreign_secrets(hub: Hub, seen: SeenHarbor) -> Iterator[Problem]:
    for kind, kept in seen.kept.items():
        found = (kept.body or {}).get("type", kind.secret_type)
        if found != kind.secret_type:
            remedy = f"look who made it, and delete it from namespace {hub.cluster.namespace}: its type cannot change"
            yield Problem(f"Secret {kind.secret}", f"it is of type {found}, not {kind.secret_type}", remedy)


def _no_scanner(hub: Hub, seen: SeenHarbor) -> Iterator[Problem]:
    if seen.scanner is False:
        fatal = harbor_of(hub).gate.without_scanner == "fail"
        found = "it has no scanner, so no image is looked at for vulnerabilities"
        remedy = "have Harbor's administrator install one (Trivy)"
        remedy += ", or set gate.without_scanner to warn" if fatal else ""
        yield Problem(f"Project {place_of(hub).project}", found, remedy, fatal=fatal)


def _schedule(hub: Hub, seen: SeenHarbor) -> Iterator[Problem]:
    found = other_schedule(hub, seen)
    if found:
        remedy = "set retention.schedule to this one, or agree with the others and change it in Harbor"
        text = f"it runs at {found}, which other rules wait for, and not when the profile says: it is left so"
        yield Problem(f"Retention of project {place_of(hub).project}", text, remedy, fatal=False)


def _expired_allowances(hub: Hub, today: date) -> Iterator[Problem]:
    for allowed in harbor_of(hub).gate.allowed:
        if today > allowed.until:
            remedy = "take it out of gate.allowed, or look at it again and give it a later day"
            found = f"it was allowed until {allowed.until}, and stops an image again"
            yield Problem(f"Vulnerability {allowed.id}", found, remedy, fatal=False)
