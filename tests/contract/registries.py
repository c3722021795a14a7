"""A registry of a few lines, for what stands before one: blobs and manifests by digest, in memory."""

from __future__ import annotations

import hashlib
import json
import uuid

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

IMAGE = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


class Registry:
    """What it was given, by digest."""

    def __init__(self) -> None:
        self._stored: dict[str, tuple[bytes, str]] = {}
        self._uploads: dict[str, bytes] = {}
        methods = ["GET", "HEAD", "POST", "PATCH", "PUT"]
        self.app = Starlette(routes=[Route("/v2/{path:path}", self._answer, methods=methods)])

    async def _answer(self, request: Request) -> Response:
        path, body = request.path_params["path"], await request.body()
        name, kind, rest = path.replace("/blobs/uploads/", "/uploads/").rsplit("/", 2)
        if kind == "uploads":
            return self._upload(request, name, rest, body)
        if request.method == "PUT":
            self._stored[digest_of(body)] = (body, request.headers["Content-Type"])
            return Response(status_code=201, headers={"Docker-Content-Digest": digest_of(body)})
        if rest not in self._stored:
            return Response(status_code=404)
        content, media = self._stored[rest]
        return Response(content, headers={"Docker-Content-Digest": rest}, media_type=media)

    def _upload(self, request: Request, name: str, session: str, body: bytes) -> Response:
        session = session or str(uuid.uuid4())
        whole = self._uploads.pop(session, b"") + body
        if digest := request.query_params.get("digest"):
            if digest_of(whole) != digest:
                return Response(status_code=400)
            self._stored[digest] = (whole, "application/octet-stream")
            return Response(status_code=201, headers={"Docker-Content-Digest": digest})
        self._uploads[session] = whole
        scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
        address = f"{scheme}://{request.headers['host']}/v2/{name}/blobs/uploads/{session}"
        return Response(status_code=202, headers={"Location": address})


def push(client: httpx.Client, name: str, tag: str, layer: bytes, **manifest: object) -> httpx.Response:
    """An image of one layer, pushed as a client does; the first refusal, or what was said to the manifest."""
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {"Labels": {"made": layer.decode()}}}
    ).encode()
    for blob in (config, layer):
        begun = client.post(f"/v2/{name}/blobs/uploads/")
        if begun.status_code != 202:
            return begun
        sent = client.patch(begun.headers["Location"], content=blob)
        done = client.put(httpx.URL(sent.headers["Location"]).copy_merge_params({"digest": digest_of(blob)}))
        if done.status_code != 201:
            return done
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": digest_of(layer), "size": len(layer)}],
        **manifest,
    }
    body = json.dumps(document).encode()
    reference = tag or digest_of(body)
    return client.put(f"/v2/{name}/manifests/{reference}", content=body, headers={"Content-Type": IMAGE})
