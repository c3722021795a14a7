"""The registry behind: everything that is asked of it, and what Harbor itself puts there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping

import httpx
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from deployments.sandbox.harbor.asks import Harbor
from deployments.sandbox.harbor.inventory import SBOM, digest_of, forget, record
from deployments.sandbox.harbor.store import Row

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SPDX = "application/spdx+json"
_NOT_PASSED_ON = frozenset({"authorization", "cookie", "connection", "host", "transfer-encoding", "accept-encoding"})


async def forward(
    harbor: Harbor, request: Request, path: str = "", content: bytes | AsyncIterator[bytes] | None = None
) -> Response:
    """The registry's own answer to the request, or to the same of another path, passed on as it comes."""
    # The registry makes its addresses of these, so that they are Harbor's.
    ours = [("host", request.headers["host"]), ("x-forwarded-proto", request.url.scheme)]
    passed = [(name, value) for name, value in request.headers.items() if name not in _NOT_PASSED_ON]
    headers = [*ours, *passed, ("accept-encoding", "identity")]
    target = harbor.upstream.build_request(
        request.method, path or request.url.path, params=request.url.query.encode(), headers=headers, content=content
    )
    given = await harbor.upstream.send(target, stream=True)
    back = {name: value for name, value in given.headers.items() if name not in _NOT_PASSED_ON}
    return StreamingResponse(given.aiter_raw(), given.status_code, back, background=BackgroundTask(given.aclose))


async def read_config(harbor: Harbor, repository: str, manifest: Mapping[str, object]) -> Row:
    """What an image's configuration says of it, as Harbor shows it; nothing for what is no image."""
    about = manifest.get("config")
    if not isinstance(about, dict) or "image" not in str(about.get("mediaType")):
        return {}
    given = await harbor.upstream.get(f"/v2/{repository}/blobs/{about['digest']}", follow_redirects=True)
    config = given.json() if given.is_success else {}
    return {key: config[key] for key in ("architecture", "os", "created", "author", "config") if config.get(key)}


async def attach_sbom(harbor: Harbor, artifact: Row) -> str:
    """The image has a list of its parts (an empty one) beside it, and no older one; returns the list's digest."""
    name = artifact["repository_name"]
    document = {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": name, "packages": []}
    config, layer = await _put_blob(harbor, name, b"{}"), await _put_blob(harbor, name, json.dumps(document).encode())
    subject = {"mediaType": artifact["manifest_media_type"], "digest": artifact["digest"], "size": artifact["size"]}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": SBOM, **config},
        "layers": [{"mediaType": SPDX, **layer}],
        "subject": subject,
    }
    body = json.dumps(manifest).encode()
    address = f"/v2/{name}/manifests/{digest_of(body)}"
    given = await harbor.upstream.put(address, content=body, headers={"Content-Type": MANIFEST})
    given.raise_for_status()
    [project] = harbor.store.rows("projects", id=artifact["project_id"])
    for older in harbor.store.rows("artifacts", subject=artifact["digest"], media_type=SBOM, repository_name=name):
        forget(harbor.store, older["id"], project["id"])
    return str(record(harbor.store, project, name, body, MANIFEST, {})["digest"])


async def _put_blob(harbor: Harbor, name: str, body: bytes) -> Row:
    begun = await harbor.upstream.post(f"/v2/{name}/blobs/uploads/")
    digest = digest_of(body)
    target = httpx.URL(begun.headers["Location"]).copy_merge_params({"digest": digest})
    given = await harbor.upstream.put(target, content=body, headers={"Content-Type": "application/octet-stream"})
    given.raise_for_status()
    return {"digest": digest, "size": len(body)}
