"""Projects: their metadata, members and quotas, and the users that may be members."""

from __future__ import annotations

import re
import secrets
from typing import Any

from starlette.responses import Response

from deployments.sandbox.harbor.answers import Refusal, answer, created, paged, selected
from deployments.sandbox.harbor.asks import ADMIN, NEVER, Ask, Routes, hashed
from deployments.sandbox.harbor.rights import ROLES
from deployments.sandbox.harbor.store import Row, Store, now

NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
PROJECT = "/projects/{project}"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


async def _list(ask: Ask) -> Response:
    rows = [row for row in ask.store.rows("projects") if ask.harbor.may(ask.caller, ("project", "read"), row)]
    name = ask.request.query_params.get("name", "")
    return paged(ask.request, [row for row in rows if name in row["name"]], lambda row: _shown(ask.store, row))


async def _head(ask: Ask) -> Response:
    ask.require_somebody()
    name = ask.request.query_params.get("project_name", "")
    if not ask.store.one("projects", name=name):
        raise Refusal("NOT_FOUND", f"project {name} not found")
    return Response()


async def _create(ask: Ask) -> Response:
    ask.require_somebody()
    body = ask.document()
    name, metadata = str(body.get("project_name", "")), _given(body.get("metadata"))
    _check_may_create(ask)
    if metadata.setdefault("public", str(body.get("public") or False).lower()) not in ("true", "false"):
        message = f"metadata.public should only be 'true' or 'false', but got: '{metadata['public']}'"
        raise Refusal("BAD_REQUEST", message)
    if not NAME.fullmatch(name) or "retention_id" in metadata:
        raise Refusal("BAD_REQUEST", f"the project name {name} or its metadata is invalid")
    if ask.store.one("projects", name=name):
        raise Refusal("CONFLICT", f"The project named {name} already exists")
    owner = ask.caller.name if ask.caller.user else ADMIN
    times = {"creation_time": now(), "update_time": now()}
    project = ask.store.add("projects", name=name, owner_name=owner, metadata=metadata, **times)
    if ask.caller.user:
        ask.store.add("members", project_id=project["id"], user=owner, role_id=1)
    limit = body.get("storage_limit") if ask.harbor.may(ask.caller, ("project", "create"), None) else None
    hard = {"storage": limit or ask.harbor.setting("storage_per_project")}
    ask.store.add("quotas", project_id=project["id"], hard=hard, **times)
    by_name = ask.request.headers.get("X-Resource-Name-In-Location") == "true"
    return created(ask.request, name if by_name else project["id"])


def _check_may_create(ask: Ask) -> None:
    if ask.caller.robot and ask.caller.robot["level"] != "system":
        raise Refusal("FORBIDDEN", "Only system level robot can create project")
    anybody = ask.harbor.setting("creation") == "everyone" and not ask.caller.robot
    if not anybody and not ask.harbor.may(ask.caller, ("project", "create"), None):
        raise Refusal("FORBIDDEN", "Only system admin can create project")


def _given(metadata: Any) -> dict[str, str]:
    return {key: str(value) for key, value in (metadata or {}).items() if value is not None}


def _shown(store: Store, row: Row) -> Row:
    shown = {key: value for key, value in row.items() if key != "id"}
    return {"project_id": row["id"], **shown, "repo_count": len(store.rows("repositories", project_id=row["id"]))}


async def _read(ask: Ask) -> Response:
    row = ask.project(("project", "read"))
    member = ask.caller.user and ask.store.one("members", project_id=row["id"], user=ask.caller.name)
    role = {"current_user_role_id": member["role_id"], "current_user_role_ids": [member["role_id"]]} if member else {}
    return answer({**_shown(ask.store, row), **role})


async def _update(ask: Ask) -> Response:
    project = ask.project(("project", "update"))
    metadata = _given(ask.document().get("metadata"))
    if metadata.get("retention_id") not in (None, project["metadata"].get("retention_id")):
        raise Refusal(
            "BAD_REQUEST", "the retention_id in the request's payload when updating a project should be omitted"
        )
    project["metadata"].update(metadata)
    project["update_time"] = now()
    return Response()


async def _delete(ask: Ask) -> Response:
    project = ask.project(("project", "delete"))
    if ask.store.one("repositories", project_id=project["id"]):
        raise Refusal("PRECONDITION", "the project contains repositories, can not be deleted")
    for table in ("robots", "members", "quotas", "policies", "immutable_rules", "retentions", "blobs"):
        ask.store.remove(table, project_id=project["id"])
    ask.store.remove("projects", id=project["id"])
    return Response()


async def _add_member(ask: Ask) -> Response:
    project = ask.project(("member", "create"))
    body = ask.document()
    name = str((body.get("member_user") or {}).get("username", ""))
    if body.get("role_id") not in ROLES or not ask.store.one("users", username=name):
        raise Refusal("BAD_REQUEST", f"role {body.get('role_id')} or user {name} does not exist")
    if ask.store.one("members", project_id=project["id"], user=name):
        raise Refusal("CONFLICT", "the project member already exists")
    row = ask.store.add("members", project_id=project["id"], user=name, role_id=body["role_id"])
    return created(ask.request, row["id"])


async def _users(ask: Ask) -> Response:
    ask.require(("user", "list"), None)
    rows = selected(ask.request, ask.store.rows("users"))
    return paged(ask.request, rows, lambda row: {"user_id": row["id"], "username": row["username"]})


async def _add_user(ask: Ask) -> Response:
    ask.require(("user", "create"), None)
    body = ask.document()
    name, salt = str(body.get("username", "")), secrets.token_hex(8)
    if ask.store.one("users", username=name):
        raise Refusal("CONFLICT", f"User {name} already exists")
    row = ask.store.add("users", username=name, salt=salt, hash=hashed(str(body.get("password")), salt))
    return created(ask.request, row["id"])


def used(store: Store, project: Row) -> int:
    """How many bytes the project's blobs take."""
    return sum(row["size"] for row in store.rows("blobs", project_id=project["id"]))


def check_fits(store: Store, project: Row, size: int) -> None:
    """Raises Refusal when the project's quota is too small for that much more."""
    [quota] = store.rows("quotas", project_id=project["id"])
    hard, seen = quota["hard"]["storage"], used(store, project)
    if hard != NEVER and seen + size > hard:
        message = (
            f"adding {_human(size)} of storage resource, which when updated to current usage of {_human(seen)} "
            f"will exceed the configured upper limit of {_human(hard)}."
        )
        raise Refusal("DENIED", message)


def _human(size: float) -> str:
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            return f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("the last unit takes any size")


def _quota(store: Store, row: Row) -> Row:
    [project] = store.rows("projects", id=row["project_id"])
    about = {"id": project["id"], "name": project["name"], "owner_name": project["owner_name"]}
    shown = {key: value for key, value in row.items() if key != "project_id"}
    return {**shown, "ref": about, "used": {"storage": used(store, project)}}


async def _quotas(ask: Ask) -> Response:
    ask.require(("quota", "list"), None)
    wanted = ask.request.query_params.get("reference_id", "")
    rows = [row for row in ask.store.rows("quotas") if wanted in ("", str(row["project_id"]))]
    return paged(ask.request, rows, lambda row: _quota(ask.store, row))


async def _read_quota(ask: Ask) -> Response:
    ask.require(("quota", "read"), None)
    return answer(_quota(ask.store, _stored_quota(ask)))


async def _update_quota(ask: Ask) -> Response:
    ask.require(("quota", "update"), None)
    hard = ask.document().get("hard")
    if not hard:
        raise Refusal("BAD_REQUEST", "hard required in body")
    _stored_quota(ask).update(hard=hard, update_time=now())
    return Response()


def _stored_quota(ask: Ask) -> Row:
    found = ask.store.one("quotas", id=ask.number("quota"))
    if found is None:
        raise Refusal("NOT_FOUND", f"quota {ask.path('quota')} not found")
    return found


ROUTES: Routes = [
    ("GET", "/projects", _list),
    ("HEAD", "/projects", _head),
    ("POST", "/projects", _create),
    ("GET", PROJECT, _read),
    ("PUT", PROJECT, _update),
    ("DELETE", PROJECT, _delete),
    ("POST", PROJECT + "/members", _add_member),
    ("GET", "/users", _users),
    ("POST", "/users", _add_user),
    ("GET", "/quotas", _quotas),
    ("GET", "/quotas/{quota}", _read_quota),
    ("PUT", "/quotas/{quota}", _update_quota),
]
