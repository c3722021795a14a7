"""A registry by the OCI distribution API (spec 1.1): tags, manifests, blobs, and what refers to an image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import httpx

from tasks.core.errors import Permanent
from tasks.core.login import Login
from tasks.registry.connection import Ask, Connection
from tasks.registry.distribution_refusal import Action, garbled

__all__ = ["MANIFEST_TYPES", "OCI_INDEX", "OCI_MANIFEST", "Descriptor", "Registry", "digest_of", "encoded"]

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MANIFEST_TYPES = ", ".join(
    (
        OCI_INDEX,
        OCI_MANIFEST,
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_NOT_SEEN = (HTTPStatus.NOT_FOUND, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
MOST_PAGES = 100
"""Of referrers: more than that is a registry that never ends."""

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Descriptor:
    """Something in a registry, so that others can refer to it."""

    media_type: str
    digest: str
    size: int

    def fields(self) -> dict[str, Any]:
        """As manifests write it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


def digest_of(content: bytes) -> str:
    """By what a registry knows these bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def encoded(document: Manifest) -> bytes:
    """A manifest as it is pushed: always the same bytes, so that it has one digest."""
    return json.dumps(document, separators=(",", ":")).encode()


class Registry:
    """One registry, over HTTPS, asked as somebody, or without ``login`` as anybody; by tokens where it wants them.

    Every call raises Permanent for what the registry refuses, Transient when it cannot be reached or fails.
    """

    def __init__(
        self, host: str, ca: str | None, login: Login | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.host = host
        self._connection = Connection(host, ca, login, transport)

    def close(self) -> None:
        """Its connections are closed; use it with contextlib.closing."""
        self._connection.close()

    def read_digest(self, repository: str, tag: str) -> str:
        """The digest that a tag stands for now. Raises Permanent when there is no such tag."""
        ask = _manifest(repository, tag, "HEAD")
        answer = self._connection.expect(ask, HTTPStatus.OK, HTTPStatus.NOT_FOUND)
        asked = self._connection.words(ask)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            remedy = "build and push the image, or correct image.reference in the profile"
            raise Permanent("registry", asked, "404, there is no such image or tag", remedy)
        digest = answer.headers.get("docker-content-digest")
        if not digest:
            remedy = "name the image by digest in the profile: this registry does not tell the digest of a tag"
            raise Permanent("registry", asked, "200, without the header Docker-Content-Digest", remedy)
        return digest

    def read_descriptor(self, repository: str, reference: str) -> Descriptor | None:
        """The manifest of a tag or digest, as others refer to it; None when there is none. Nothing counts as pulled."""
        answer = self._connection.expect(_manifest(repository, reference, "HEAD"), HTTPStatus.OK, HTTPStatus.NOT_FOUND)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        kind, size, digest = (
            answer.headers.get(name, "") for name in ("content-type", "content-length", "docker-content-digest")
        )
        if not (kind and size.isdigit() and digest):
            raise garbled(
                self._connection.words(_manifest(repository, reference, "HEAD")), "200, without type, size or digest"
            )
        return Descriptor(kind.partition(";")[0], digest, int(size))

    def read_manifest(self, repository: str, reference: str) -> tuple[Manifest, str] | None:
        """The manifest of a tag or digest, and its digest; None when there is none."""
        answer = self._get_manifest(repository, reference)
        if answer is None:
            return None
        asked = self._connection.words(_manifest(repository, reference, "GET"))
        return self._document(answer, asked), digest_of(answer.content)

    def read_blob(self, repository: str, digest: str) -> bytes | None:
        """A blob, which has the digest; None when there is none."""
        ask = Ask("GET", f"/v2/{repository}/blobs/{digest}", repository, elsewhere=True)
        answer = self._connection.expect(ask, HTTPStatus.OK, HTTPStatus.NOT_FOUND)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        return self._checked(answer, digest, self._connection.words(ask)).content

    def list_referrers(self, repository: str, digest: str, artifact_type: str) -> tuple[Manifest, ...]:
        """What of that type refers to a digest, as descriptors; where the registry has no list, by the fallback tag."""
        found: list[Manifest] = []
        url, params = f"/v2/{repository}/referrers/{digest}", {"artifactType": artifact_type}
        for _page in range(MOST_PAGES):
            ask = Ask("GET", url, repository, params=params, headers={"Accept": OCI_INDEX})
            answer = self._connection.expect(ask, HTTPStatus.OK, HTTPStatus.NOT_FOUND)
            if answer.status_code == HTTPStatus.NOT_FOUND:
                index, _digest = self.read_manifest(repository, referrers_tag(digest)) or ({}, "")
                return _of_type(index, artifact_type)
            found += _of_type(self._document(answer, self._connection.words(ask)), artifact_type)
            following = answer.links.get("next", {}).get("url")
            if not following:
                break
            url, params = answer.url.join(following).raw_path.decode(), {}
        return tuple(found)

    def push_blob(self, repository: str, content: bytes) -> str:
        """The repository has a blob of this content; returns its digest. One that is there is not sent again."""
        digest, action = digest_of(content), Action.PUSH
        seen = Ask("HEAD", f"/v2/{repository}/blobs/{digest}", repository)
        # Who may not look hears why of the push: an answer to HEAD has no words.
        if self._connection.expect(seen, HTTPStatus.OK, *_NOT_SEEN).status_code == HTTPStatus.OK:
            return digest
        begin = Ask("POST", f"/v2/{repository}/blobs/uploads/", repository, action)
        begun = self._connection.expect(begin, HTTPStatus.ACCEPTED)
        target = self._connection.address(begun, self._connection.words(begin))
        headers = {"Content-Type": "application/octet-stream"}
        put = Ask("PUT", target, repository, action, {"digest": digest}, headers, content)
        self._connection.expect(put, HTTPStatus.CREATED)
        return digest

    def copy_manifest(self, repository: str, digest: str, tag: str) -> None:
        """The tag stands for the manifest that has the digest, whatever it stood for. Raises Permanent without one."""
        found = self._get_manifest(repository, digest)
        if found is None:
            asked = self._connection.words(_manifest(repository, digest, "GET"))
            raise Permanent("registry", asked, "404, there is no such image", "somebody deleted it: build it again")
        headers = {"Content-Type": found.headers["content-type"]}
        url = f"/v2/{repository}/manifests/{tag}"
        put = Ask("PUT", url, repository, Action.PUSH, headers=headers, content=found.content)
        self._connection.expect(put, HTTPStatus.CREATED)

    def push_manifest(self, repository: str, reference: str, document: Manifest) -> str:
        """The repository has the manifest under a tag, or under its own digest; returns that."""
        content = encoded(document)
        headers = {"Content-Type": str(document["mediaType"])}
        url = f"/v2/{repository}/manifests/{reference}"
        self._connection.expect(
            Ask("PUT", url, repository, Action.PUSH, headers=headers, content=content), HTTPStatus.CREATED
        )
        return digest_of(content)

    def _get_manifest(self, repository: str, reference: str) -> httpx.Response | None:
        ask = _manifest(repository, reference, "GET")
        answer = self._connection.expect(ask, HTTPStatus.OK, HTTPStatus.NOT_FOUND)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        return self._checked(answer, reference, self._connection.words(ask)) if ":" in reference else answer

    def _checked(self, answer: httpx.Response, digest: str, asked: str) -> httpx.Response:
        if digest_of(answer.content) != digest:
            raise garbled(asked, f"200, with what has the digest {digest_of(answer.content)}")
        return answer

    def _document(self, answer: httpx.Response, asked: str) -> Manifest:
        try:
            document = answer.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise garbled(asked, "200, with what is no manifest")
        return cast("Manifest", document)


def referrers_tag(digest: str) -> str:
    """Under which tag the list is of what refers to a digest, where a registry keeps none itself."""
    return digest.replace(":", "-")


def _manifest(repository: str, reference: str, method: str) -> Ask:
    url = f"/v2/{repository}/manifests/{reference}"
    return Ask(method, url, repository, headers={"Accept": MANIFEST_TYPES})


def _of_type(index: Manifest, artifact_type: str) -> tuple[Manifest, ...]:
    """Registries need not look at the type that was asked for."""
    return tuple(entry for entry in index.get("manifests") or () if entry.get("artifactType") == artifact_type)
