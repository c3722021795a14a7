"""Who may do what, as Harbor has it: roles of people, and permissions that a robot may be given. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployments.sandbox.harbor.store import Row

Pair = tuple[str, str]
"""A resource and an action."""


def _pairs(text: str) -> frozenset[Pair]:
    return frozenset(
        (words.partition(":")[0], action) for words in text.split() for action in words.partition(":")[2].split(",")
    )


ROBOT_PAIRS: Mapping[str, frozenset[Pair]] = {
    "project": _pairs("""
        log:list project:read,update,delete metadata:create,read,update,delete,list
        repository:read,update,delete,list,pull,push artifact:create,read,delete,list
        scan:create,read,stop sbom:create,read,stop tag:create,delete,list accessory:list artifact-addition:read
        artifact-label:create,delete scanner:create,read preheat-policy:create,read,update,delete,list
        immutable-tag:create,update,delete,list notification-policy:create,read,update,delete,list
        tag-retention:create,read,update,delete,list label:create,read,update,delete,list quota:read
        robot:create,read,list,delete export-cve:create,read member:create,read,update,list,delete"""),
    "system": _pairs("""
        project:list,create robot:create,read,list,delete user:create,read,update,list,delete quota:read,list,update
        catalog:read scanner:create,read,update,delete,list registry:create,read,update,delete,list
        label:create,read,update,delete scan-all:create,read,update,stop system-volumes:read"""),
}
"""What a robot may be given. robot:update is not among it: no robot renews itself or another."""
_GUEST = _pairs("""
    project:read repository:read,list,pull artifact:read,list artifact-addition:read accessory:list tag:list
    scan:read sbom:read scanner:read quota:read robot:read,list member:read,list label:read,list""")
PUBLIC = _pairs("""
    project:read repository:read,list,pull artifact:read,list artifact-addition:read accessory:list tag:list
    scan:read sbom:read scanner:read label:read,list""")
"""What anybody may do in a public project."""
ROLES: Mapping[int, frozenset[Pair]] = {
    1: ROBOT_PAIRS["project"] | _pairs("robot:update tag-retention:operate"),
    2: _GUEST | _pairs("repository:push,update artifact:create tag:create artifact-label:create,delete"),
    3: _GUEST,
}
"""Project administrator, developer and guest, by the number of the role."""


@dataclass(frozen=True)
class Caller:
    """Who asks. Without a name it is nobody in particular; ``scopes`` are what a registry token grants."""

    name: str = ""
    admin: bool = False
    robot: Row | None = None
    user: Row | None = None
    scopes: Mapping[str, Sequence[str]] | None = None


def may(caller: Caller, pair: Pair, project: Row | None, roles: Sequence[int]) -> bool:
    """Whether the caller, who has these roles in the project, may do something in it, or without one in the system."""
    if caller.admin:
        return True
    if project and project["metadata"].get("public") == "true" and pair in PUBLIC:
        return True
    if caller.robot:
        return _robot_may(caller.robot, pair, project)
    return project is not None and any(pair in ROLES[role] for role in roles)


def _robot_may(robot: Row, pair: Pair, project: Row | None) -> bool:
    kind, names = ("project", (project["name"], "*")) if project else ("system", ("/",))
    given = {
        (access["resource"], access["action"])
        for permission in robot["permissions"]
        if permission["kind"] == kind and permission["namespace"] in names
        for access in permission["access"]
    }
    if robot["level"] == "project" and ("repository", "push") in given:
        given.add(("repository", "pull"))
    return pair in given


def fault_of(level: str, permissions: Any) -> str:
    """Why a robot cannot be given these permissions, in Harbor's words; nothing when it can."""
    if not permissions:
        return "bad request empty permission"
    if any(not permission.get("access") for permission in permissions):
        return "bad request empty access"
    if level == "project" and len(permissions) > 1:
        return "bad request permission"
    for permission in permissions:
        if permission.get("kind") not in ROBOT_PAIRS:
            return f"bad request permission level: {permission.get('kind')}"
        for access in permission["access"]:
            if (access.get("resource"), access.get("action")) not in ROBOT_PAIRS[permission["kind"]]:
                return f"bad request permission: {access.get('resource')}:{access.get('action')}"
    return ""


def within(wanted: Sequence[Row], own: Sequence[Row]) -> bool:
    """Whether each wanted permission is among a robot's own."""
    mine = {
        (permission["kind"], permission["namespace"]): {_text(access) for access in permission["access"]}
        for permission in own
    }
    return all(
        {_text(access) for access in permission["access"]}
        <= mine.get((permission["kind"], permission["namespace"]), mine.get((permission["kind"], "*"), set()))
        for permission in wanted
    )


def _text(access: Row) -> str:
    return f"{access['resource']}:{access['action']}:{access.get('effect', '')}"
