"""Repositories, artifacts and tags, as Harbor's API shows and changes them."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from deployments.sandbox.harbor.answers import Refusal, answer, paged, selected
from deployments.sandbox.harbor.asks import Ask, Routes
from deployments.sandbox.harbor.inventory import (
    accessories,
    check_deletable,
    delete,
    forget,
    found,
    immutable,
    set_tag,
    standing,
)
from deployments.sandbox.harbor.scans import overviews
from deployments.sandbox.harbor.store import Row, Store

REPOSITORIES = "/projects/{project}/repositories"
REPOSITORY = REPOSITORIES + "/{repository}"
ARTIFACT = REPOSITORY + "/artifacts/{reference}"
TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)


def _shown(ask: Ask, row: Row) -> Row:
    hidden = ("children", "subject", "signature", "blobs")
    store, path = ask.store, ask.request.url.path.partition("/artifacts")[0]
    href = f"{path}/artifacts/{row['digest']}/additions/vulnerabilities"
    references = [
        {
            "parent_id": row["id"],
            "child_id": child_row["id"],
            "child_digest": child["digest"],
            "platform": child.get("platform"),
        }
        for child in row["children"]
        if (child_row := store.one("artifacts", repository_id=row["repository_id"], digest=child["digest"]))
    ]
    return {
        **{key: value for key, value in row.items() if key not in hidden},
        "tags": [_tag(ask, row, tag) for tag in store.rows("tags", artifact_id=row["id"])] or None,
        "references": references or None,
        "labels": None,
        "accessories": accessories(store, row) or None,
        "addition_links": {"vulnerabilities": {"href": href, "absolute": False}},
        **overviews(ask, row),
    }


def _tag(ask: Ask, artifact: Row, tag: Row) -> Row:
    with_status = ask.flag("with_immutable_status")
    return {**tag, "immutable": with_status and immutable(ask.store, artifact, tag["name"])}


async def _repositories(ask: Ask) -> Response:
    project = ask.project(("repository", "list"))
    rows = ask.store.rows("repositories", project_id=project["id"])
    return paged(ask.request, selected(ask.request, rows), lambda row: _shown_repository(ask.store, row))


def _repository(ask: Ask, action: str) -> Row:
    project = ask.project(("repository", action))
    name = f"{project['name']}/{ask.path('repository')}"
    row = ask.store.one("repositories", name=name)
    if row is None:
        raise Refusal("NOT_FOUND", f"repository {name} not found")
    return row


def _shown_repository(store: Store, row: Row) -> Row:
    return {**row, "artifact_count": len(store.rows("artifacts", repository_id=row["id"]))}


async def _read_repository(ask: Ask) -> Response:
    return answer(_shown_repository(ask.store, _repository(ask, "read")))


async def _delete_repository(ask: Ask) -> Response:
    row = _repository(ask, "delete")
    artifacts = ask.store.rows("artifacts", repository_id=row["id"])
    for artifact in artifacts:
        for tag in ask.store.rows("tags", artifact_id=artifact["id"]):
            check_deletable(ask.store, artifact, tag["name"])
    ask.store.remove("repositories", id=row["id"])
    for artifact in artifacts:
        forget(ask.store, artifact["id"], artifact["project_id"])
    return Response()


async def _list(ask: Ask) -> Response:
    ask.project(("artifact", "list"))
    name = f"{ask.path('project')}/{ask.path('repository')}"
    rows = selected(ask.request, standing(ask.store, name)[::-1])
    return paged(ask.request, rows, lambda row: _shown(ask, row))


async def _read(ask: Ask) -> Response:
    return answer(_shown(ask, found(ask, ("artifact", "read"))))


async def _delete(ask: Ask) -> Response:
    delete(ask.harbor, found(ask, ("artifact", "delete")), ask.by)
    return Response()


async def _accessories(ask: Ask) -> Response:
    return paged(ask.request, accessories(ask.store, found(ask, ("accessory", "list"))))


async def _tags(ask: Ask) -> Response:
    artifact = found(ask, ("tag", "list"))
    rows = ask.store.rows("tags", artifact_id=artifact["id"])
    return paged(ask.request, selected(ask.request, rows), lambda row: _tag(ask, artifact, row))


async def _add_tag(ask: Ask) -> Response:
    artifact = found(ask, ("tag", "create"))
    name: Any = ask.document().get("name")
    if not isinstance(name, str):
        raise Refusal("UNPROCESSABLE_ENTITY", "name in body is required")
    if not TAG.fullmatch(name):
        raise Refusal("BAD_REQUEST", f"invalid tag name: {name}")
    if ask.store.one("tags", repository_id=artifact["repository_id"], name=name):
        raise Refusal("CONFLICT", f"tag {name} already exists under the repository")
    set_tag(ask.store, artifact, name)
    return Response(status_code=201)


async def _delete_tag(ask: Ask) -> Response:
    artifact, name = found(ask, ("tag", "delete")), ask.path("tag")
    if not ask.store.one("tags", artifact_id=artifact["id"], name=name):
        raise Refusal("NOT_FOUND", f"tag {name} attached to artifact {artifact['id']} not found")
    check_deletable(ask.store, artifact, name)
    ask.store.remove("tags", artifact_id=artifact["id"], name=name)
    return Response()


ROUTES: Routes = [
    ("GET", REPOSITORIES, _repositories),
    ("GET", REPOSITORY, _read_repository),
    ("DELETE", REPOSITORY, _delete_repository),
    ("GET", REPOSITORY + "/artifacts", _list),
    ("GET", ARTIFACT, _read),
    ("DELETE", ARTIFACT, _delete),
    ("GET", ARTIFACT + "/accessories", _accessories),
    ("GET", ARTIFACT + "/tags", _tags),
    ("POST", ARTIFACT + "/tags", _add_tag),
    ("DELETE", ARTIFACT + "/tags/{tag}", _delete_tag),
]
