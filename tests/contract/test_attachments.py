"""Pushing to Harbor, and what is attached to an image there: once, and gone with it."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from config.images import PinnedImage
from tasks.core.errors import HubError, Permanent, Transient
from tasks.image.signature import SigningKey, signing_payload
from tasks.registry.attachments import SIGNATURE, SPDX, ensure_sbom, ensure_signature, signature_tag
from tasks.registry.connection import Login
from tasks.registry.distribution import OCI_MANIFEST, Registry, digest_of
from tests.contract.conftest import API, StandIn
from tests.contract.registries import push

HOST = "registry.example.com"
NAME = "iav/base-notebook"
IMAGE = f"{API}/projects/iav/repositories/base-notebook/artifacts"
PUSHER = ("push", "pull")
DOCUMENT = b'{"spdxVersion":"SPDX-2.3"}'
SECRET = "Never-to-be-shown-1"


class Proxy(httpx.BaseTransport):
    """What ends TLS before the stand-in: Harbor takes its own address and scheme of it."""

    def __init__(self, url: str) -> None:
        self._port = urlsplit(url).port
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert (request.url.scheme, request.url.host) == ("https", HOST)
        url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        headers = [*request.headers.raw, (b"X-Forwarded-Proto", b"https")]
        passed = httpx.Request(
            request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
        )
        return self._inner.handle_request(passed)

    def close(self) -> None:
        self._inner.close()


def robot(harbor: StandIn, *actions: str) -> Login:
    access = [{"resource": "repository", "action": action} for action in actions]
    permissions = [{"kind": "project", "namespace": "iav", "access": access}]
    body = {"name": "builder", "level": "project", "duration": 1, "permissions": permissions}
    made = harbor.admin.post(f"{API}/robots", json=body).raise_for_status().json()
    return Login(made["name"], SecretStr(made["secret"]))


@contextmanager
def asked_as(harbor: StandIn, login: Login | None) -> Generator[Registry, None, None]:
    registry = Registry(HOST, None, login, Proxy(harbor.url))
    yield registry
    registry.close()


@pytest.fixture
def registry(harbor: StandIn) -> Generator[Registry, None, None]:
    """The registry as a robot that pushes, to a project that is there."""
    harbor.project("iav")
    with asked_as(harbor, robot(harbor, *PUSHER)) as registry:
        yield registry


@pytest.fixture
def key() -> SigningKey:
    return SigningKey(ec.generate_private_key(ec.SECP256R1()))


def image(harbor: StandIn) -> PinnedImage:
    answer = push(harbor.admin, NAME, "v1", b"one")
    assert answer.status_code == 201
    return PinnedImage(HOST, NAME, answer.headers["Docker-Content-Digest"])


def writes(harbor: StandIn, since: float) -> list[tuple[str, str]]:
    rows = harbor.admin.get("/test/requests", params={"since": since}).json()
    return [(row["method"], row["path"]) for row in rows if row["method"] not in ("GET", "HEAD")]


def attach_all(registry: Registry, image: PinnedImage, key: SigningKey) -> list[bool]:
    subject = registry.read_descriptor(NAME, image.digest)
    assert subject
    signed = ensure_signature(registry, NAME, image.digest, signing_payload(image), key)
    return [ensure_sbom(registry, NAME, subject, DOCUMENT), signed]


def test_what_is_attached_is_attached_once(harbor: StandIn, registry: Registry, key: SigningKey) -> None:
    pinned = image(harbor)
    since = time.time()
    assert attach_all(registry, pinned, key) == [True, True]
    kinds = [path.split("/")[4] for method, path in writes(harbor, since) if method == "PUT"]
    assert sorted(kinds) == ["blobs"] * 4 + ["manifests"] * 2
    since = time.time()
    assert attach_all(registry, pinned, key) == [False, False]
    with asked_as(harbor, robot_of(registry)) as again:
        assert attach_all(again, pinned, key) == [False, False]
    assert writes(harbor, since) == []


def robot_of(registry: Registry) -> Login:
    login = registry._connection.login
    assert login
    return login


def test_the_list_of_parts_refers_to_the_image_and_holds_the_document(harbor: StandIn, registry: Registry) -> None:
    pinned = image(harbor)
    subject = registry.read_descriptor(NAME, "v1")
    assert subject
    assert subject.digest == pinned.digest
    ensure_sbom(registry, NAME, subject, DOCUMENT)
    [referrer] = registry.list_referrers(NAME, pinned.digest, SPDX)
    assert registry.list_referrers(NAME, pinned.digest, "application/other") == ()
    manifest, digest = registry.read_manifest(NAME, referrer["digest"]) or ({}, "")
    assert digest == referrer["digest"]
    assert manifest["subject"] == {"mediaType": OCI_MANIFEST, "digest": pinned.digest, "size": subject.size}
    assert registry.read_blob(NAME, manifest["layers"][0]["digest"]) == DOCUMENT
    assert registry.read_blob(NAME, manifest["config"]["digest"]) == b"{}"


def test_the_signature_is_where_cosign_looks_and_verifies(harbor: StandIn, registry: Registry, key: SigningKey) -> None:
    pinned = image(harbor)
    payload = signing_payload(pinned)
    other = SigningKey(ec.generate_private_key(ec.SECP256R1()))
    assert ensure_signature(registry, NAME, pinned.digest, payload, other)
    assert ensure_signature(registry, NAME, pinned.digest, payload, key)
    assert not ensure_signature(registry, NAME, pinned.digest, payload, other)
    tag = pinned.digest.replace(":", "-") + ".sig"
    manifest, _digest = registry.read_manifest(NAME, tag) or ({}, "")
    signatures = [layer["annotations"][SIGNATURE] for layer in manifest["layers"]]
    assert [key.verifies(payload, one) for one in signatures] == [False, True]
    assert [other.verifies(payload, one) for one in signatures] == [True, False]
    assert {layer["digest"] for layer in manifest["layers"]} == {digest_of(payload)}


def test_harbor_counts_both_as_accessories_and_deletes_them_with_the_image(
    harbor: StandIn, registry: Registry, key: SigningKey
) -> None:
    pinned = image(harbor)
    attach_all(registry, pinned, key)
    [shown] = harbor.admin.get(IMAGE).json()
    assert {row["type"] for row in shown["accessories"]} == {"subject.accessory", "signature.cosign"}
    assert {row["subject_artifact_digest"] for row in shown["accessories"]} == {pinned.digest}
    assert harbor.admin.delete(f"{IMAGE}/v1").status_code == 200
    for row in shown["accessories"]:
        assert harbor.admin.get(f"{IMAGE}/{row['digest']}").status_code == 404
    assert registry.read_manifest(NAME, signature_tag(pinned.digest)) is None
    assert registry.list_referrers(NAME, pinned.digest, SPDX) == ()


def test_a_blob_that_is_there_is_not_sent_again(harbor: StandIn, registry: Registry) -> None:
    digest = registry.push_blob(NAME, b"content")
    assert digest == digest_of(b"content")
    since = time.time()
    assert registry.push_blob(NAME, b"content") == digest
    assert writes(harbor, since) == []
    assert registry.read_blob(NAME, digest) == b"content"
    assert registry.read_blob(NAME, digest_of(b"other")) is None


def test_what_was_never_pushed_is_not_there(registry: Registry) -> None:
    assert registry.read_manifest(NAME, "v9") is None
    assert registry.read_descriptor(NAME, "v9") is None
    with pytest.raises(Permanent, match="no such image"):
        registry.read_digest(NAME, "v9")


def test_a_token_is_used_as_long_as_it_is_good_and_then_got_anew(harbor: StandIn, registry: Registry) -> None:
    harbor.set(token_seconds=0.5)

    def tokens() -> int:
        return [row["path"] for row in harbor.admin.get("/test/requests").json()].count("/service/token")

    registry.push_blob(NAME, b"one")
    registry.push_blob(NAME, b"two")
    assert tokens() == 2  # one to look, one to push
    time.sleep(0.6)
    registry.push_blob(NAME, b"three")
    assert tokens() == 4


def push_something(registry: Registry) -> None:
    config = registry.push_blob(NAME, b"{}")
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": {"digest": config, "size": 2}}
    registry.push_manifest(NAME, "v1", document)


def failed(harbor: StandIn, login: Login | None) -> HubError:
    """The error of a push of a blob and a manifest."""
    with asked_as(harbor, login) as registry, pytest.raises(HubError) as error:
        push_something(registry)
    assert error.value.system == "registry"
    assert not login or login.secret.get_secret_value() not in repr(error.value)
    return error.value


def test_who_may_not_push_hears_to_look_at_the_robot(harbor: StandIn) -> None:
    harbor.project("iav")
    reader = robot(harbor, "pull")
    for login in (reader, Login(reader.user, SecretStr(SECRET)), None):
        error = failed(harbor, login)
        assert isinstance(error, Permanent)
        assert error.answered.startswith("401 unauthorized to access repository: iav/base-notebook")
        assert "robot" in error.remedy


def test_a_project_that_is_not_there_is_to_be_made(harbor: StandIn) -> None:
    harbor.project("other")
    error = failed(harbor, Login("admin", SecretStr("Administrator1")))
    assert isinstance(error, Permanent)
    assert error.answered == "401 project iav not found"
    assert "makes the project" in error.remedy


def test_a_full_project_is_told_with_harbors_words(harbor: StandIn) -> None:
    harbor.project("iav", storage_limit=1)
    error = failed(harbor, robot(harbor, *PUSHER))
    assert isinstance(error, Permanent)
    assert "will exceed the configured upper limit" in error.answered
    assert "quota" in error.remedy


def test_an_immutable_tag_is_not_pushed_again(harbor: StandIn) -> None:
    harbor.project("iav")
    image(harbor)
    kind = {"kind": "doublestar"}
    tags = [{**kind, "decoration": "matches", "pattern": "v*"}]
    scopes = {"repository": [{**kind, "decoration": "repoMatches", "pattern": "**"}]}
    about = {"action": "immutable", "template": "immutable_template", "tag_selectors": tags, "scope_selectors": scopes}
    assert harbor.admin.post(f"{API}/projects/iav/immutabletagrules", json=about).is_success
    error = failed(harbor, robot(harbor, *PUSHER))
    assert isinstance(error, Permanent)
    assert error.answered.startswith("412 Failed to process request")
    assert "immutable" in error.remedy


def test_a_registry_that_only_reads_takes_nothing(harbor: StandIn) -> None:
    harbor.project("iav")
    login = robot(harbor, *PUSHER)
    harbor.set(read_only=True)
    error = failed(harbor, login)
    assert isinstance(error, Permanent)
    assert "end the registry's read-only mode" in error.remedy


@pytest.mark.parametrize(
    ("fault", "kind", "wait", "said"),
    [
        ({"status": 429, "code": "TOO_MANY_REQUEST", "headers": {"Retry-After": "7"}}, Transient, 7.0, "log"),
        ({"status": 503}, Transient, 0.0, "log"),
        ({"status": 500}, Transient, 0.0, "log"),
        ({"cut": True, "status": 0}, Transient, 0.0, "reaches it"),
        ({"status": 413, "code": "REQUEST_ENTITY_TOO_LARGE"}, Permanent, 0.0, "how large"),
    ],
)
def test_what_goes_away_by_itself_is_tried_again_and_nothing_else(
    harbor: StandIn, fault: dict[str, Any], kind: type[HubError], wait: float, said: str
) -> None:
    harbor.project("iav")
    login = robot(harbor, *PUSHER)
    assert harbor.admin.post("/test/faults", json={"path": "/manifests/", "method": "PUT", "times": 9, **fault})
    error = failed(harbor, login)
    assert type(error) is kind
    assert getattr(error, "retry_after", 0.0) == wait
    assert said in error.remedy
