"""The registry's API as Harbor guards it: tokens, what each may, quotas, immutable tags, and what was pushed."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from deployments.sandbox.harbor.answers import Refusal
from deployments.sandbox.harbor.asks import Ask, Routes, issue_token
from deployments.sandbox.harbor.inventory import (
    delete,
    digest_of,
    find,
    immutable,
    record,
    record_blob,
    record_signature,
    set_tag,
)
from deployments.sandbox.harbor.projects import check_fits
from deployments.sandbox.harbor.registry import forward, read_config
from deployments.sandbox.harbor.scans import start
from deployments.sandbox.harbor.store import Row, now
from deployments.sandbox.harbor.webhooks import announce

SERVICE = "harbor-registry"
LARGEST_MANIFEST = 4 * 2**20
VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}
INDEX = "application/vnd.oci.image.index.v1+json"
_PATH = re.compile(r"/v2/(?P<name>[a-z0-9._/-]+)/(?P<kind>manifests|blobs|tags|referrers)/(?P<rest>.*)")
_ACTIONS = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}


async def token(ask: Ask) -> Response:
    """A token for what the caller may of what was asked for. Without a scope it says whether a password is right."""
    query = ask.request.query_params
    if query.get("service") != SERVICE:
        return PlainTextResponse(f"Unable to handle service: {query.get('service', '')}", 400)
    wanted = [scope for words in query.getlist("scope") for scope in words.split()]
    if not wanted and not ask.caller.name:
        return Response(status_code=401)
    names = [scope.split(":")[1] for scope in wanted if scope.startswith("repository:")]
    scopes = {name: [action for action in ("pull", "push", "delete") if _may(ask, name, action)] for name in names}
    text = issue_token(ask.harbor, ask.caller, scopes)
    issued = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"expires_in": ask.harbor.setting("token_seconds"), "issued_at": issued}
    return JSONResponse({"token": text, "access_token": text, **about})


def _may(ask: Ask, name: str, action: str) -> bool:
    if ask.caller.scopes is not None:
        return action in ask.caller.scopes.get(name, ())
    project = ask.store.one("projects", name=name.partition("/")[0])
    return project is not None and ask.harbor.may(ask.caller, ("repository", action), project)


async def serve(ask: Ask) -> Response:
    """Whatever is below /v2/."""
    path = ask.request.url.path
    if path == "/v2/":
        if not ask.caller.name:
            raise _unauthorized(ask, "unauthorized", "")
        return JSONResponse({}, headers=VERSION)
    parts = _PATH.fullmatch(path)
    if parts is None:
        raise _unauthorized(ask, f"un-recognized request: {ask.request.method} {path}", "")
    name, kind, rest = parts["name"], parts["kind"], parts["rest"]
    _check(ask, name, _ACTIONS.get(ask.request.method, "push"))
    if source := ask.request.query_params.get("from"):
        _check(ask, source, "pull")
    project = ask.store.one("projects", name=name.partition("/")[0])
    if project is None:
        raise Refusal("NOT_FOUND", f"project {name.partition('/')[0]} not found")
    return await _answer(ask, project, name, kind, rest)


def _check(ask: Ask, name: str, action: str) -> None:
    scope = f"repository:{name}:{'pull,push' if action == 'push' else action}"
    if "Authorization" not in ask.request.headers and action == "pull":
        raise _unauthorized(ask, "authorize header needed to send HEAD to repository", scope)
    if ask.store.one("projects", name=name.partition("/")[0]) is None:
        # Not 404: whether somebody may is asked before, and fails. Nor does it say where to get a token.
        raise Refusal("UNAUTHORIZED", f"project {name.partition('/')[0]} not found", Www_Authenticate="")
    if not _may(ask, name, action):
        raise _unauthorized(ask, f"unauthorized to access repository: {name}, action: {action}", scope)


def _unauthorized(ask: Ask, message: str, scope: str) -> Refusal:
    """It tells a client that showed nothing where to get a token, and one that did that it will not do."""
    if "Authorization" in ask.request.headers:
        challenge = 'Basic realm="harbor"'
    else:
        realm = f"{ask.request.url.scheme}://{ask.request.headers['host']}/service/token"
        challenge = f'Bearer realm="{realm}",service="{SERVICE}"' + (f',scope="{scope}"' if scope else "")
    version = VERSION["Docker-Distribution-Api-Version"]
    return Refusal("UNAUTHORIZED", message, Www_Authenticate=challenge, Docker_Distribution_Api_Version=version)


async def _answer(ask: Ask, project: Row, name: str, kind: str, rest: str) -> Response:
    match kind, ask.request.method:
        case "referrers", "GET":
            return await _referrers(ask, name, rest)
        case "tags", "GET":
            return _list_tags(ask, name)
        case "manifests", "GET" | "HEAD":
            return await _manifest(ask, name, rest)
        case "manifests", "PUT":
            return await _put_manifest(ask, project, name, rest)
        case "manifests", "DELETE":
            return _delete_manifest(ask, name, rest)
        case "blobs", "POST" | "PATCH" | "PUT":
            return await _upload(ask, project, rest)
        case _:
            return await forward(ask.harbor, ask.request)


def _existing(ask: Ask, name: str, reference: str) -> Row:
    artifact = find(ask.store, name, reference)
    if artifact is None:
        raise Refusal("NOT_FOUND", f"artifact {name}{'@' if ':' in reference else ':'}{reference} not found")
    return artifact


async def _manifest(ask: Ask, name: str, reference: str) -> Response:
    artifact = _existing(ask, name, reference)
    given = await forward(ask.harbor, ask.request, f"/v2/{name}/manifests/{artifact['digest']}")
    if ask.request.method == "GET" and given.status_code == 200:
        artifact["pull_time"] = now()
        tag = "" if ":" in reference else reference
        for row in ask.store.rows("tags", artifact_id=artifact["id"], name=tag):
            row["pull_time"] = now()
        announce(ask.harbor, "PULL_ARTIFACT", artifact, tag or artifact["digest"], ask.by, {}, {})
    return given


async def _put_manifest(ask: Ask, project: Row, name: str, reference: str) -> Response:
    """The registry takes it by its digest: tags are Harbor's own."""
    body = await ask.request.body()
    if len(body) > LARGEST_MANIFEST:
        raise Refusal("REQUEST_ENTITY_TOO_LARGE", "request entity too large")
    tag = "" if ":" in reference else reference
    _check_movable(ask, name, tag)
    check_fits(ask.store, project, len(body) + _new_bytes(ask, project, body))
    given = await forward(
        ask.harbor, ask.request, f"/v2/{name}/manifests/{digest_of(body) if tag else reference}", body
    )
    if given.status_code != 201:
        return given
    media = ask.request.headers.get("Content-Type", "")
    manifest: dict[str, Any] = json.loads(body)
    artifact = record(ask.store, project, name, body, media, await read_config(ask.harbor, name, manifest))
    if tag:
        set_tag(ask.store, artifact, tag)
        record_signature(artifact, manifest, tag)
    if manifest.get("subject"):
        given.headers["OCI-Subject"] = manifest["subject"]["digest"]
    announce(ask.harbor, "PUSH_ARTIFACT", artifact, tag or artifact["digest"], ask.by, {}, {})
    if project["metadata"].get("auto_scan") == "true" and artifact["type"] == "IMAGE" and ask.harbor.setting("scanner"):
        start(ask.harbor, artifact, "vulnerability", tag, ask.by)
    return given


def _new_bytes(ask: Ask, project: Row, body: bytes) -> int:
    """How much of a manifest's blobs the project is not counted for yet: the registry may have them of another."""
    manifest: dict[str, Any] = json.loads(body)
    parts = [part for part in (manifest.get("config"), *manifest.get("layers", ())) if part]
    known = {row["digest"] for row in ask.store.rows("blobs", project_id=project["id"])}
    return sum(part["size"] for part in parts if part["digest"] not in known)


def _check_movable(ask: Ask, name: str, tag: str) -> None:
    """Raises Refusal when the tag is there and protected, whatever it would be put on."""
    seen = find(ask.store, name, tag) if tag else None
    if seen and immutable(ask.store, seen, tag):
        repository = name.partition("/")[2]
        message = f"Failed to process request due to '{repository}:{tag}' configured as immutable."
        raise Refusal("PRECONDITION", message)


def _delete_manifest(ask: Ask, name: str, reference: str) -> Response:
    if ":" not in reference:
        raise Refusal("UNSUPPORTED", f"unsupported digest {reference}")
    delete(ask.harbor, _existing(ask, name, reference), ask.by)
    return Response(status_code=202)


async def _upload(ask: Ask, project: Row, rest: str) -> Response:
    """A blob in pieces, or at once. Before the last piece is passed on, the whole fits into the quota."""
    session, uploads = rest.rpartition("/")[2], ask.harbor.uploads
    digest = ask.request.query_params.get("digest", "") or ask.request.query_params.get("mount", "")
    announced = int(ask.request.headers.get("Content-Length", "0"))
    if digest:
        check_fits(ask.store, project, uploads.get(session, 0) + announced)
    sent = [0]
    given = await forward(ask.harbor, ask.request, content=_counted(ask, sent))
    if session:
        uploads[session] = uploads.get(session, 0) + sent[0]
    if given.status_code == 201 and not ask.request.query_params.get("mount"):
        record_blob(ask.store, project, digest, uploads.pop(session, sent[0]))
    return given


async def _counted(ask: Ask, sent: list[int]) -> AsyncIterator[bytes]:
    async for piece in ask.request.stream():
        sent[0] += len(piece)
        yield piece


def _list_tags(ask: Ask, name: str) -> Response:
    repository = ask.store.one("repositories", name=name)
    if repository is None:
        raise Refusal("NOT_FOUND", f"repository {name} not found")
    tags = sorted(row["name"] for row in ask.store.rows("tags", repository_id=repository["id"]))
    return JSONResponse({"name": name, "tags": tags}, headers=VERSION)


async def _referrers(ask: Ask, name: str, digest: str) -> Response:
    """What refers to a digest, also to one that is not there."""
    if not digest.startswith("sha256:"):
        raise Refusal("BAD_REQUEST", f"unsupported digest {digest}")
    wanted = ask.request.query_params.get("artifactType", "")
    found = ask.store.rows("artifacts", repository_name=name, subject=digest)
    sizes = {row["digest"]: row["size"] for row in ask.store.rows("blobs")}
    manifests = [
        {
            "mediaType": row["manifest_media_type"], "size": sizes[row["digest"]], "digest": row["digest"],
            "artifactType": row["artifact_type"], **({"annotations": row["annotations"]} if row["annotations"] else {}),
        }
        for row in found
        if wanted in ("", row["artifact_type"])
    ]  # fmt: skip
    headers = {"X-Total-Count": str(len(found)), **({"OCI-Filters-Applied": "artifactType"} if wanted else {})}
    return JSONResponse(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}, headers=headers, media_type=INDEX
    )


ROUTES: Routes = [("GET", "/service/token", token)]
