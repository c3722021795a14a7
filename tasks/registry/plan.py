"""Phase registry, project and robots as they should be: pure, from the spec and what was seen of Harbor."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, assert_never

from config.spec import Hub
from tasks.core.change import Action, Change, Plan
from tasks.core.login import Login
from tasks.core.objects import SECRET, WantedObject, plan_object
from tasks.registry.state import (
    ACCESS,
    DOCKER_CONFIG_KEY,
    Kind,
    RobotStatus,
    SeenHarbor,
    SeenRobot,
    harbor_of,
    place_of,
    robot_name,
    status_of,
)


def wanted_robot(hub: Hub, kind: Kind) -> dict[str, Any]:
    """A robot as it is made: of the project alone, for so many days, with the rights that it needs."""
    pairs = [pair.partition(":") for pair in sorted(ACCESS[kind])]
    access = [{"resource": resource, "action": action} for resource, _, action in pairs]
    return {
        "name": robot_name(hub, kind),
        "description": f"Hubwright's, for hub {hub.name}: made anew before its time ends",
        "level": "project",
        "duration": harbor_of(hub).robot_days,
        "permissions": [{"kind": "project", "namespace": place_of(hub).project, "access": access}],
    }


def wanted_secret(hub: Hub, kind: Kind, credential: Login) -> WantedObject:
    """The Secret beside the hub that keeps a robot's login, as whoever uses it reads it."""
    user, secret = credential.user, credential.secret.get_secret_value()
    if kind is Kind.BUILD:
        data = {"username": user, "password": secret}
    else:
        auths = {place_of(hub).host: {"auth": _encoded(f"{user}:{secret}")}}
        data = {DOCKER_CONFIG_KEY: json.dumps({"auths": auths})}
    fields = {"type": kind.secret_type, "data": {key: _encoded(text) for key, text in data.items()}}
    return WantedObject(SECRET, kind.secret, hub.cluster.namespace, fields)


def plan_project(hub: Hub, seen: SeenHarbor) -> Plan:
    """What ``ensure_project`` would change. A project that is there stays as people set it."""
    if seen.project:
        return Plan()
    return Plan((Change.of(Action.CREATE, f"Project {place_of(hub).project}", "", "private"),))


def plan_robots(hub: Hub, seen: SeenHarbor, now: datetime) -> Plan:
    """What ``ensure_robots`` would change: robots, and the Secrets that keep their logins."""
    return Plan(tuple(change for kind in Kind for change in robot_changes(hub, seen, kind, now)))


def robot_changes(hub: Hub, seen: SeenHarbor, kind: Kind, now: datetime) -> Iterator[Change]:
    """What would change of one robot; nothing of one that somebody disabled."""
    title, days = f"Robot {robot_name(hub, kind)}", harbor_of(hub).robot_days
    status, reason = status_of(hub, seen, kind, now)
    robot = seen.robot(hub, kind)
    match status:
        case RobotStatus.ABSENT:
            yield Change.of(Action.CREATE, title, "", f"good for {days} days")
            yield _secret_change(seen, kind)
        case RobotStatus.EXPIRED | RobotStatus.LOCKED_OUT | RobotStatus.ENDING:
            yield Change.of(Action.UPDATE, title, reason, f"made anew, good for {days} days")
            yield _secret_change(seen, kind)
        case RobotStatus.DISABLED:
            return
        case RobotStatus.DRIFTED | RobotStatus.GOOD:
            assert robot
            yield from _drift(title, kind, robot, days)
            yield from secret_plan(hub, seen, kind)
        case _:
            assert_never(status)


def secret_plan(hub: Hub, seen: SeenHarbor, kind: Kind) -> Plan:
    """What would change of the Secret of a robot whose login it keeps already."""
    kept = seen.kept[kind]
    assert kept.credential
    return plan_object(wanted_secret(hub, kind, kept.credential), kept.body)


def _drift(title: str, kind: Kind, robot: SeenRobot, days: int) -> Iterator[Change]:
    if robot.access != ACCESS[kind]:
        yield Change.of(
            Action.UPDATE, f"{title} rights", ", ".join(sorted(robot.access)), ", ".join(sorted(ACCESS[kind]))
        )
    if robot.duration != days:
        yield Change.of(Action.UPDATE, f"{title} days", robot.duration, days)


def _secret_change(seen: SeenHarbor, kind: Kind) -> Change:
    there = kind in seen.kept and seen.kept[kind].body is not None
    return Change.hidden(Action.UPDATE if there else Action.CREATE, f"Secret {kind.secret}")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
