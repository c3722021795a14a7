"""Robot accounts: made, listed, read, replaced, given a new secret, deleted."""

from __future__ import annotations

import re
import secrets
import string
from datetime import datetime, timedelta

from starlette.responses import Response

from deployments.sandbox.harbor.answers import Refusal, answer, paged, wanted_values
from deployments.sandbox.harbor.asks import NEVER, ROBOT_PREFIX, Ask, Routes, hashed
from deployments.sandbox.harbor.projects import NAME
from deployments.sandbox.harbor.rights import ROBOT_PAIRS, fault_of, within
from deployments.sandbox.harbor.store import Row, now

GIVEN_SECRET = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9]).{8,128}")
LONGEST = 2**31 - 1
_HIDDEN = ("hash", "salt", "project_id")


def _shown(row: Row) -> Row:
    return {key: value for key, value in row.items() if key not in _HIDDEN}


def _checked(body: Row, duration: object) -> Row:
    """Level, duration and permissions of a body. Raises Refusal for what Harbor does not take."""
    level, permissions = str(body.get("level")), body.get("permissions") or []
    if not isinstance(duration, int) or not (duration == NEVER or 0 < duration < LONGEST):
        message = (
            f"bad request error duration input: {duration}, duration must be either -1(Never) or a positive integer"
        )
        raise Refusal("BAD_REQUEST", message)
    if level not in ROBOT_PAIRS:
        raise Refusal("BAD_REQUEST", f"bad request error level input: {level}")
    if fault := fault_of(level, permissions):
        raise Refusal("BAD_REQUEST", fault)
    return {"level": level, "duration": duration, "permissions": permissions}


async def _create(ask: Ask) -> Response:
    body = ask.document()
    name = str(body.get("name", ""))
    if not NAME.fullmatch(name):
        raise Refusal("BAD_REQUEST", "robot name is not in lower case or contains illegal characters")
    wanted = _checked(body, body.get("duration", 0))
    project = _project(ask, wanted, "create")
    if ask.caller.robot and not within(wanted["permissions"], ask.caller.robot["permissions"]):
        message = (
            "permission scope is invalid. It must be equal to or more restrictive than the creator robot's permissions"
        )
        raise Refusal("DENIED", f"{message}: {ask.caller.name}")
    full = ROBOT_PREFIX + (f"{project['name']}+{name}" if project else name)
    if ask.store.one("robots", name=full):
        raise Refusal("CONFLICT", f"robot {name} already exists")
    secret, salt, begun = _drawn(), secrets.token_hex(8), now()
    row = ask.store.add(
        "robots", name=full, **wanted, description=body.get("description", ""), disable=False, editable=True,
        expires_at=_expiry(begun, wanted["duration"]), project_id=project["id"] if project else 0,
        creation_time=begun, update_time=begun, hash=hashed(secret, salt), salt=salt,
    )  # fmt: skip
    made = {key: row[key] for key in ("id", "name", "creation_time", "expires_at")}
    given = answer({**made, "secret": secret}, Location=f"{ask.request.url.path}/{row['id']}")
    given.status_code = 201
    return given


def _project(ask: Ask, robot: Row, action: str) -> Row | None:
    """The project of a robot of one, when the caller may do this with its robots. Else raises Refusal."""
    if robot["level"] == "system":
        ask.require(("robot", action), None)
        return None
    project = ask.store.one("projects", name=robot["permissions"][0].get("namespace"))
    if project is None:
        # Nobody has rights in a project that does not exist, but the administrator.
        ask.require(("robot", action), None)
        raise Refusal("NOT_FOUND", f"project {robot['permissions'][0].get('namespace')} not found")
    ask.require(("robot", action), project)
    return project


def _drawn() -> str:
    while True:
        secret = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))
        if GIVEN_SECRET.fullmatch(secret):
            return secret


def _expiry(begun: str, days: int) -> int:
    moment = datetime.fromisoformat(begun)
    return NEVER if days == NEVER else int((moment + timedelta(days=days)).timestamp())


async def _list(ask: Ask) -> Response:
    ask.require_somebody()
    wanted = wanted_values(ask.request.query_params.get("q", ""))
    level = wanted.pop("Level", "system")
    if level not in ROBOT_PAIRS:
        raise Refusal("BAD_REQUEST", "bad request error level input")
    if level == "project" and "ProjectID" not in wanted:
        raise Refusal("BAD_REQUEST", "must with project ID when to query project robots")
    key = wanted.pop("ProjectID", "0")
    if not key.isdigit() or (level == "project" and key == "0"):
        raise Refusal("BAD_REQUEST", "ProjectID must be a positive integer")
    ask.require(("robot", "list"), ask.store.one("projects", id=int(key)) if level == "project" else None)
    rows = [row for row in ask.store.rows("robots", project_id=int(key)) if _is_wanted(row, wanted.get("name", ""))]
    return paged(ask.request, rows, _shown)


def _is_wanted(row: Row, name: str) -> bool:
    """A name is compared without its prefix, as it is stored."""
    stored = str(row["name"]).removeprefix(ROBOT_PREFIX)
    return name[1:] in stored if name.startswith("~") else name in ("", stored)


def _robot(ask: Ask, action: str) -> Row:
    ask.require_somebody()
    found = ask.store.one("robots", id=ask.number("robot"))
    if found is None:
        raise Refusal("NOT_FOUND", f"robot {ask.path('robot')} not found")
    ask.require(("robot", action), ask.store.one("projects", id=found["project_id"]))
    return found


async def _read(ask: Ask) -> Response:
    return answer(_shown(_robot(ask, "read")))


async def _update(ask: Ask) -> Response:
    ask.require_somebody()
    robot = ask.store.one("robots", id=ask.number("robot"))
    if robot is None:
        raise Refusal("NOT_FOUND", f"robot {ask.path('robot')} not found")
    body = ask.document()
    wanted = _checked(body, robot["duration"] if body.get("duration") is None else body["duration"])
    project = _project(ask, wanted, "update")
    if wanted["level"] == "project" and project and project["id"] != robot["project_id"]:
        raise Refusal("BAD_REQUEST", "cannot update the project id of robot")
    if wanted["level"] != robot["level"] or body.get("name") != robot["name"]:
        raise Refusal("BAD_REQUEST", "cannot update the level or name of robot")
    if wanted["duration"] != robot["duration"]:
        robot["expires_at"] = _expiry(robot["creation_time"], wanted["duration"])
    plain = {"description": body.get("description", ""), "disable": bool(body.get("disable")), "update_time": now()}
    robot.update(wanted, **plain)
    return Response()


async def _refresh(ask: Ask) -> Response:
    robot = _robot(ask, "update")
    given = str(ask.document().get("secret") or "")
    if given and not GIVEN_SECRET.fullmatch(given):
        message = (
            "the secret must be 8-128, inclusively, characters long with at least 1 uppercase letter, "
            "1 lowercase letter and 1 number"
        )
        raise Refusal("BAD_REQUEST", message)
    fresh = given or _drawn()
    robot.update(hash=hashed(fresh, robot["salt"]), update_time=now())
    return answer({"secret": "" if given else fresh})


async def _delete(ask: Ask) -> Response:
    ask.store.remove("robots", id=_robot(ask, "delete")["id"])
    return Response()


ROUTES: Routes = [
    ("GET", "/robots", _list),
    ("POST", "/robots", _create),
    ("GET", "/robots/{robot}", _read),
    ("PUT", "/robots/{robot}", _update),
    ("PATCH", "/robots/{robot}", _refresh),
    ("DELETE", "/robots/{robot}", _delete),
]
