"""Pushes where a registry keeps to the letter of the specification, or not even that: addresses, tokens, lists."""

from __future__ import annotations

import base64
import json
import re
import ssl
from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tasks.core.errors import HubError, Permanent, Transient
from tasks.registry.attachments import SPDX, ensure_sbom, ensure_signature, signature_tag
from tasks.registry.connection import Login
from tasks.registry.distribution import OCI_INDEX, OCI_MANIFEST, Descriptor, Registry, digest_of

LOGIN = Login("robot$builder", SecretStr("Never-shown-1"))
SUBJECT = Descriptor(OCI_MANIFEST, "sha256:" + "a" * 64, 7)
TOKENS = "https://auth.test/token"


class Plain:
    """A registry without users, and without a list of what refers to what."""

    def __init__(self, location: str = "/v2/{name}/blobs/uploads/1?state=word") -> None:
        self.location = location
        self.kept: dict[str, tuple[bytes, str]] = {}
        self.requests: list[httpx.Request] = []

    @property
    def writes(self) -> list[str]:
        return [request.method for request in self.requests if request.method not in ("GET", "HEAD")]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs/uploads|blobs|referrers)/([^/]*)", request.url.path)
        assert match
        name, kind, rest = match.groups()
        if request.method == "POST":
            return httpx.Response(202, headers={"Location": self.location.format(name=name)})
        if request.method == "PUT":
            digest = request.url.params.get("digest") or digest_of(request.content)
            assert digest == digest_of(request.content)
            self.kept[digest] = self.kept[rest] = (request.content, request.headers["content-type"])
            return httpx.Response(201)
        if rest not in self.kept or kind == "referrers":
            return httpx.Response(404)
        content, media = self.kept[rest]
        return httpx.Response(200, content=content, headers={"Content-Type": media})


class Strict:
    """A registry before another that grants what a token's scope says and no more, and tells it to nobody else."""

    def __init__(self, behind: Callable[[httpx.Request], httpx.Response]) -> None:
        self.behind = behind
        self.tokens: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "auth.test":
            expected = base64.b64encode(f"{LOGIN.user}:{LOGIN.secret.get_secret_value()}".encode()).decode()
            assert request.headers["authorization"] == f"Basic {expected}"
            self.tokens.append(request.url.params["scope"])
            return httpx.Response(200, json={"token": self.tokens[-1]})
        assert request.url.host == "r.io"
        name = request.url.path.removeprefix("/v2/").partition("/blobs")[0].partition("/manifests")[0]
        scope = f"repository:{name}:{'pull' if request.method in ('GET', 'HEAD') else 'pull,push'}"
        if request.headers.get("authorization") != f"Bearer {scope}":
            challenge = f'Bearer realm="{TOKENS}",service="r.io",scope="{scope}"'
            return httpx.Response(401, headers={"WWW-Authenticate": challenge})
        return self.behind(request)


def opened(handler: Any, login: Login | None = None) -> closing[Registry]:
    return closing(Registry("r.io", None, login, httpx.MockTransport(handler)))


@pytest.mark.parametrize(
    "location", ["/v2/{name}/blobs/uploads/1?state=word", "https://r.io/v2/{name}/blobs/uploads/1"]
)
def test_an_upload_goes_on_where_the_registry_says(location: str) -> None:
    plain = Plain(location)
    with opened(plain) as registry:
        digest = registry.push_blob("team/tool", b"content")
        assert registry.push_blob("team/tool", b"content") == digest == digest_of(b"content")
    assert plain.writes == ["POST", "PUT"]
    put = plain.requests[2]
    assert put.url.params["digest"] == digest
    assert put.url.params.get("state") == ("word" if "state" in location else None)
    assert put.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("location", ["http://r.io/v2/{name}/blobs/uploads/1?state=word", ""])
def test_an_upload_that_would_go_on_without_https_does_not(location: str) -> None:
    plain = Plain(location)
    with opened(plain) as registry, pytest.raises(Permanent, match="external address") as error:
        registry.push_blob("team/tool", b"content")
    assert plain.writes == ["POST"]
    assert "word" not in str(error.value)


def test_each_scope_has_a_token_of_its_own_which_is_kept() -> None:
    strict = Strict(Plain())
    with opened(strict, LOGIN) as registry:
        for content in (b"one", b"two"):
            registry.push_blob("team/tool", content)
        registry.push_blob("team/other", b"three")
    assert strict.tokens == [
        f"repository:team/{name}:{actions}" for name in ("tool", "other") for actions in ("pull", "pull,push")
    ]


def test_a_token_is_shown_to_the_registry_only() -> None:
    elsewhere: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == "storage.test":
            elsewhere.append(request)
            return httpx.Response(200 if request.method == "GET" else 201, content=b"content")
        return strict(request)

    strict = Strict(Plain("https://storage.test/upload?state=word"))
    with opened(handler, LOGIN) as registry:
        registry.push_blob("team/tool", b"content")
    moved = httpx.Response(307, headers={"Location": "https://storage.test/blob?signed=word"})
    strict.behind = lambda _request: moved
    with opened(handler, LOGIN) as registry:
        assert registry.read_blob("team/tool", digest_of(b"content")) == b"content"
    assert [request.method for request in elsewhere] == ["PUT", "GET"]
    assert not [request for request in elsewhere if "authorization" in request.headers]


def test_a_password_is_not_sent_without_https() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(401, headers={"WWW-Authenticate": 'Bearer realm="http://r.io/token",service="r"'})

    with opened(handler, LOGIN) as registry, pytest.raises(Permanent, match="without HTTPS"):
        registry.push_blob("team/tool", b"content")
    assert len(seen) == 1


def test_a_registry_that_wants_the_password_itself_gets_it() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if "authorization" not in request.headers:
            return httpx.Response(401, headers={"WWW-Authenticate": 'Basic realm="r"'})
        assert base64.b64decode(request.headers["authorization"].partition(" ")[2]) == b"robot$builder:Never-shown-1"
        return plain(request)

    plain = Plain()
    with opened(handler, LOGIN) as registry:
        registry.push_blob("team/tool", b"content")
    assert plain.writes == ["POST", "PUT"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_password_that_gives_no_token_is_wrong_for_good(status: int) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == "auth.test":
            return httpx.Response(status, text="Never-shown-1")
        return httpx.Response(401, headers={"WWW-Authenticate": f'Bearer realm="{TOKENS}"'})

    with opened(handler, LOGIN) as registry, pytest.raises(Permanent, match="gave no token") as error:
        registry.push_blob("team/tool", b"content")
    assert "Never-shown-1" not in repr(error.value)


def test_a_certificate_that_is_not_trusted_is_not_tried_again() -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed") from ssl.SSLError()

    with opened(handler) as registry, pytest.raises(Permanent, match=r"registry\.ca"):
        registry.push_blob("team/tool", b"content")


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (httpx.Response(200, content=b"other"), Transient, "with what has the digest"),
        (httpx.Response(500, content=b"x" * 999), Transient, "500 Internal Server Error"),
        (httpx.Response(403, json={"errors": [{"message": "no " + "x" * 999}]}), Permanent, "403 no x"),
    ],
)
def test_content_that_is_not_what_was_asked_for_is_not_taken(
    answer: httpx.Response, kind: type[HubError], said: str
) -> None:
    with opened(lambda _request: answer) as registry, pytest.raises(kind) as error:
        registry.read_blob("team/tool", SUBJECT.digest)
    assert said in error.value.answered
    assert len(error.value.answered) < 300


def test_a_manifest_by_digest_has_it_and_one_that_is_none_is_not_taken() -> None:
    content = b'{"schemaVersion":2}'
    with opened(lambda _request: httpx.Response(200, content=content)) as registry:
        assert registry.read_manifest("team/tool", digest_of(content)) == ({"schemaVersion": 2}, digest_of(content))
        assert registry.read_manifest("team/tool", "v1") == ({"schemaVersion": 2}, digest_of(content))
        with pytest.raises(Transient):
            registry.read_manifest("team/tool", SUBJECT.digest)
    for odd in (b"<html>", b"[]"):
        with opened(lambda _request, odd=odd: httpx.Response(200, content=odd)) as registry, pytest.raises(Transient):
            registry.read_manifest("team/tool", "v1")


def test_a_list_that_comes_in_pages_is_read_to_its_end() -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        number = int(request.url.params.get("page", "1"))
        link = {"Link": f'</v2/team/tool/referrers/{SUBJECT.digest}?page={number + 1}>; rel="next"'}
        entries = [{"digest": f"{number}", "artifactType": kind} for kind in (SPDX, "other/type")]
        return httpx.Response(200, json={"manifests": entries}, headers=link if number < 3 else {})

    with opened(handler) as registry:
        found = registry.list_referrers("team/tool", SUBJECT.digest, SPDX)
    assert [entry["digest"] for entry in found] == ["1", "2", "3"]
    assert httpx.URL(seen[0]).params["artifactType"] == SPDX
    assert [httpx.URL(url).host for url in seen] == ["r.io"] * 3


def test_where_a_registry_keeps_no_list_it_is_kept_under_the_fallback_tag() -> None:
    plain, tag = Plain(), SUBJECT.digest.replace(":", "-")
    other = {"mediaType": OCI_MANIFEST, "digest": "sha256:" + "b" * 64, "size": 1, "artifactType": "other/type"}
    plain.kept[tag] = (json.dumps({"mediaType": OCI_INDEX, "manifests": [other]}).encode(), OCI_INDEX)
    with opened(plain) as registry:
        assert ensure_sbom(registry, "team/tool", SUBJECT, b"document")
        before = plain.writes
        assert not ensure_sbom(registry, "team/tool", SUBJECT, b"another moment's document")
        [referrer] = registry.list_referrers("team/tool", SUBJECT.digest, SPDX)
    assert plain.writes == before
    index = json.loads(plain.kept[tag][0])
    assert index["manifests"] == [other, referrer]
    manifest = json.loads(plain.kept[referrer["digest"]][0])
    assert manifest["artifactType"] == manifest["layers"][0]["mediaType"] == SPDX
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert manifest["subject"] == SUBJECT.fields()


class Fake:
    """A key whose signatures can be told apart."""

    def __init__(self, name: str) -> None:
        self.name = name

    def sign(self, payload: bytes) -> str:
        return f"{self.name}-{payload.decode()}"

    def verifies(self, payload: bytes, signature: str) -> bool:
        return signature == self.sign(payload)


def test_another_payload_is_signed_beside_and_what_is_no_signature_is_left() -> None:
    plain, tag = Plain(), signature_tag(SUBJECT.digest)
    odd = {"mediaType": "other/type", "digest": digest_of(b"one"), "size": 3}
    plain.kept[tag] = (json.dumps({"layers": [odd]}).encode(), OCI_MANIFEST)
    with opened(plain) as registry:
        made = [
            ensure_signature(registry, "team/tool", SUBJECT.digest, payload, Fake("k"))
            for payload in (b"one", b"one", b"two", b"one", b"two")
        ]
    assert made == [True, False, True, False, False]
    manifest = json.loads(plain.kept[tag][0])
    first, *layers = manifest["layers"]
    assert first == odd
    assert [layer["annotations"] for layer in layers] == [
        {"dev.cosignproject.cosign/signature": f"k-{payload}"} for payload in ("one", "two")
    ]
    config = json.loads(plain.kept[manifest["config"]["digest"]][0])
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
