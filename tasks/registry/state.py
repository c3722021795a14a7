"""What can be seen of a Harbor that is about one hub: its project, robots, rules and webhooks."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import SecretStr

from config.registry import Harbor as HarborPart
from config.registry import Severity
from config.spec import Hub
from config.types import split_image
from tasks.core.errors import Permanent
from tasks.core.login import Login
from tasks.core.names import BUILD_ROBOT_SECRET, PULL_SECRET
from tasks.core.objects import Body

Fields = Mapping[str, Any]
BASIC_AUTH = "kubernetes.io/basic-auth"
DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"
DOCKER_CONFIG_KEY = ".dockerconfigjson"
ADMIN_ROLE = 1
"""Harbor's number for a project's administrator."""
DONE = "Success"
BROKEN = ("Error", "Stopped")
"""How else a scan ends in Harbor. It tries none again by itself."""
ACCESS: Mapping[str, frozenset[str]] = {
    "build": frozenset({
        "repository:push", "repository:pull", "artifact:read", "artifact:list", "tag:create", "tag:list",
        "scan:create", "scan:read", "artifact-addition:read",
    }),
    "pull": frozenset({"repository:pull"}),
}  # fmt: skip
"""What each robot may do in the project, and no more."""


class Kind(StrEnum):
    """The robots of a hub, by what they are for."""

    BUILD = "build"
    PULL = "pull"

    @property
    def secret(self) -> str:
        """Name of the Secret beside the hub that keeps its login."""
        return {Kind.BUILD: BUILD_ROBOT_SECRET, Kind.PULL: PULL_SECRET}[self]

    @property
    def secret_type(self) -> str:
        """Of which type that Secret is, which Kubernetes never changes."""
        return {Kind.BUILD: BASIC_AUTH, Kind.PULL: DOCKER_CONFIG}[self]


class RobotStatus(StrEnum):
    """How a robot stands, worst for us first."""

    ABSENT = "absent"
    DISABLED = "disabled"
    """A person's decision: nobody but a person takes it back."""
    EXPIRED = "expired"
    LOCKED_OUT = "locked out"
    """Its secret is not where it should be, or lets nobody in: Harbor tells it only once."""
    ENDING = "ending"
    DRIFTED = "drifted"
    GOOD = "good"


@dataclass(frozen=True)
class Place:
    """Where a hub's notebook image is in a Harbor."""

    host: str
    project: str
    repository: str

    @property
    def path(self) -> str:
        """The repository as the OCI distribution API names it."""
        return f"{self.project}/{self.repository}"


@dataclass(frozen=True)
class SeenProject:
    """A project; ``role`` is what our account is in it, None where Harbor does not say."""

    id: int
    role: int | None
    retention_id: int | None


@dataclass(frozen=True)
class SeenRobot:
    """A robot of the project."""

    id: int
    name: str
    """In full, as it logs in."""
    disabled: bool
    expires_at: int
    """Seconds since 1970; -1 for never."""
    created: datetime
    duration: int
    access: frozenset[str]
    description: str = ""


@dataclass(frozen=True)
class SeenPolicy:
    """A webhook policy; what its first target sends as Authorization is apart, since that is secret."""

    id: int
    fields: Fields
    authorization: SecretStr


@dataclass(frozen=True)
class KeptLogin:
    """The Secret that keeps a robot's login, and why that does not let anybody in; "" when it does."""

    body: Body | None = field(repr=False)
    credential: Login | None
    fault: str


@dataclass(frozen=True)
class SeenHarbor:
    """One Harbor, as far as our account may see it."""

    read_only: bool
    anybody_creates: bool
    """Whether any user may make a project."""
    hidden: bool = False
    """The project is there, and our account may not see it."""
    project: SeenProject | None = None
    scanner: bool | None = None
    """None while there is no project to ask about."""
    robots: Sequence[SeenRobot] = ()
    retention: Fields | None = None
    immutable_rules: Sequence[Fields] = ()
    policies: Sequence[SeenPolicy] = ()
    kept: Mapping[Kind, KeptLogin] = field(default_factory=dict[Kind, KeptLogin])

    @property
    def managed(self) -> bool:
        """Whether our account may set the project up, or make it, as far as it can be told."""
        if self.hidden:
            return False
        return self.project.role in (None, ADMIN_ROLE) if self.project else self.anybody_creates

    def robot(self, hub: Hub, kind: Kind) -> SeenRobot | None:
        """The hub's robot of that kind. What stands before the project's name is a setting of Harbor's."""
        return next((robot for robot in self.robots if robot.name.rpartition("+")[2] == robot_name(hub, kind)), None)


@dataclass(frozen=True)
class Vulnerability:
    """One that a scanner found."""

    id: str
    severity: Severity
    package: str
    version: str
    fix_version: str
    link: str


@dataclass(frozen=True)
class SeenArtifact:
    """An image that Harbor has, and how its last scan stands; "" when it was never scanned."""

    digest: str
    tags: Mapping[str, datetime]
    """When each came to this image: Harbor moves that time whenever a tag goes from one image to another."""
    scan: str
    report: str
    """Harbor's id of that scan's report."""


def harbor_of(hub: Hub) -> HarborPart:
    """What is to be set up; this part of the phase is for hubs with a Harbor alone."""
    assert hub.registry.harbor
    return hub.registry.harbor


def place_of(hub: Hub) -> Place:
    """Where the notebook image is. Raises Permanent when it is in no project."""
    host, path, _, _ = split_image(hub.image.reference)
    project, _, repository = path.partition("/")
    if not repository:
        remedy = "name the image as host/project/repository:tag, or leave registry.harbor out"
        raise Permanent("Harbor", "find the project of image.reference", f"{path} is in none", remedy)
    return Place(host, project, repository)


def robot_name(hub: Hub, kind: Kind) -> str:
    """What Hubwright calls a robot: by the hub, so that several hubs can share a project."""
    return f"{hub.name}-{kind}"


def status_of(hub: Hub, seen: SeenHarbor, kind: Kind, now: datetime) -> tuple[RobotStatus, str]:
    """How a robot stands, and why we say so."""
    robot, part = seen.robot(hub, kind), harbor_of(hub)
    if robot is None:
        return RobotStatus.ABSENT, "there is no such robot"
    if robot.disabled:
        return RobotStatus.DISABLED, "somebody disabled it"
    moment, end = int(now.timestamp()), _end(robot, part.robot_days)
    if robot.expires_at != -1 and robot.expires_at <= moment:
        return RobotStatus.EXPIRED, f"it expired on {_day(robot.expires_at)}"
    if fault := seen.kept[kind].fault:
        return RobotStatus.LOCKED_OUT, fault
    if end - moment < part.renew_days * 86400:
        return RobotStatus.ENDING, f"its time ends on {_day(end)}"
    if robot.access != ACCESS[kind]:
        return RobotStatus.DRIFTED, "it may do more, or less, than it should"
    if robot.duration != part.robot_days:
        return RobotStatus.DRIFTED, f"it is good for {robot.duration} days, and robot_days is {part.robot_days}"
    return RobotStatus.GOOD, f"it is good until {_day(robot.expires_at)}"


def _end(robot: SeenRobot, days: int) -> int:
    """When its time is over, by Harbor or by the profile, whichever is first: both count from its making."""
    ours = int((robot.created + timedelta(days=days)).timestamp())
    return ours if robot.expires_at == -1 else min(ours, robot.expires_at)


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


def kept_credential(kind: Kind, body: Body | None, host: str) -> Login | None:
    """The login that a robot's Secret keeps for a registry; None when it keeps none that can be read."""
    data: Fields = (body or {}).get("data") or {}
    try:
        if kind is Kind.BUILD:
            user, secret = (base64.b64decode(data[key]).decode() for key in ("username", "password"))
        else:
            auths = json.loads(base64.b64decode(data[DOCKER_CONFIG_KEY]))["auths"]
            user, _, secret = base64.b64decode(auths[host]["auth"]).decode().partition(":")
    except (ValueError, KeyError, TypeError):
        return None
    return Login(user, SecretStr(secret)) if user and secret else None
