"""What is attached to an image in the sandbox's Harbor, by a robot, beside an image that a real client pushed."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import uuid
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from config.images import PinnedImage
from deployments.sandbox.addresses import HARBOR, REGISTRY
from deployments.sandbox.harbor.operations import connect
from tasks.image.signature import SigningKey, read_key, signing_payload
from tasks.registry.attachments import SPDX, ensure_sbom, ensure_signature, signature_tag
from tasks.registry.connection import Login
from tasks.registry.distribution import Registry
from tests.sandbox.conftest import Sandbox

API = "/api/v2.0"
SECONDS = 60.0
DOCUMENT = b'{"spdxVersion":"SPDX-2.3"}'
COSIGN = os.environ.get("COSIGN") or shutil.which("cosign")


@dataclass(frozen=True)
class Place:
    """A project of its own with an image in it, and the registry as the robot that pushed it."""

    harbor: httpx.Client
    registry: Registry
    image: PinnedImage
    ca: Path
    login: Login

    def ask(self, method: str, path: str) -> httpx.Response:
        self.harbor.cookies.clear()
        return self.harbor.request(method, f"{API}/projects/{self.image.repository.partition('/')[0]}{path}")

    def attach(self, key: SigningKey) -> tuple[bool, bool]:
        subject = self.registry.read_descriptor(self.image.repository, self.image.digest)
        assert subject
        payload = signing_payload(self.image)
        signed = ensure_signature(self.registry, self.image.repository, self.image.digest, payload, key)
        return ensure_sbom(self.registry, self.image.repository, subject, DOCUMENT), signed


@pytest.fixture
def place(sandbox: Sandbox) -> Generator[Place, None, None]:
    project = f"test-{uuid.uuid4().hex[:8]}"
    ca = sandbox.paths.registry_certificates / "ca.crt"
    with connect(sandbox.paths) as harbor:
        harbor.post(f"{API}/projects", json={"project_name": project}).raise_for_status()
        harbor.cookies.clear()
        login = _robot(harbor, project)
        _push(f"{HARBOR}/{project}/busybox:v1", login, ca.parent)
        with closing(Registry(HARBOR, str(ca), login)) as registry:
            digest = registry.read_digest(f"{project}/busybox", "v1")
            place = Place(harbor, registry, PinnedImage(HARBOR, f"{project}/busybox", digest), ca, login)
            yield place
        place.ask("DELETE", "/repositories/busybox")
        assert place.ask("DELETE", "").is_success


def _robot(harbor: httpx.Client, project: str) -> Login:
    access = [{"resource": "repository", "action": action} for action in ("push", "pull")]
    permissions = [{"kind": "project", "namespace": project, "access": access}]
    body: dict[str, Any] = {"name": "builder", "level": "project", "duration": 1, "permissions": permissions}
    made = harbor.post(f"{API}/robots", json=body).raise_for_status().json()
    return Login(made["name"], SecretStr(made["secret"]))


def _push(image: str, login: Login, trust: Path) -> None:
    argv = [
        "skopeo", "--insecure-policy", "copy", "--quiet", "--src-cert-dir", str(trust), "--src-no-creds",
        "--dest-cert-dir", str(trust), "--dest-creds", f"{login.user}:{login.secret.get_secret_value()}",
        f"docker://{REGISTRY}/library/busybox:1", f"docker://{image}",
    ]  # fmt: skip
    subprocess.run(argv, check=True, capture_output=True, timeout=SECONDS)


@pytest.fixture
def key() -> SigningKey:
    """As a secret holds it."""
    made = ec.generate_private_key(ec.SECP256R1())
    return read_key(SecretStr(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()))


def test_both_are_attached_once_and_are_accessories_of_the_image(place: Place, key: SigningKey) -> None:
    assert place.attach(key) == (True, True)
    before = place.ask("GET", "/repositories/busybox/artifacts/v1").json()
    assert sorted(row["type"] for row in before["accessories"]) == ["signature.cosign", "subject.accessory"]
    assert place.attach(key) == (False, False)
    assert place.ask("GET", "/repositories/busybox/artifacts/v1").json()["accessories"] == before["accessories"]
    assert len(place.ask("GET", "/repositories/busybox/artifacts").json()) == 1


def test_both_go_with_the_image(place: Place, key: SigningKey) -> None:
    assert place.attach(key) == (True, True)
    repository, digest = place.image.repository, place.image.digest
    assert place.ask("DELETE", "/repositories/busybox/artifacts/v1").is_success
    assert place.registry.read_manifest(repository, signature_tag(digest)) is None
    assert place.registry.list_referrers(repository, digest, SPDX) == ()


def test_the_sandboxs_own_registry_keeps_a_list_or_takes_ours(sandbox: Sandbox, place: Place) -> None:
    """A registry that is no Harbor, without a login."""
    ca = sandbox.paths.registry_certificates / "ca.crt"
    trust = ssl.create_default_context(cafile=ca)
    with closing(Registry(REGISTRY, str(ca))) as registry:
        repository = place.image.repository
        subject = registry.read_descriptor(repository, place.image.digest)
        assert subject
        assert ensure_sbom(registry, repository, subject, DOCUMENT)
        assert not ensure_sbom(registry, repository, subject, DOCUMENT)
        [referrer] = registry.list_referrers(repository, subject.digest, SPDX)
    address = f"https://{REGISTRY}/v2/{repository}/manifests/{referrer['digest']}"
    assert httpx.get(address, verify=trust, headers={"Accept": referrer["mediaType"]}).status_code == 200


@pytest.mark.skipif(not COSIGN, reason="cosign is not on this machine")
def test_cosign_itself_verifies_it_and_by_no_other_key(place: Place, key: SigningKey, tmp_path: Path) -> None:
    place.attach(key)
    other = SigningKey(ec.generate_private_key(ec.SECP256R1()))
    (tmp_path / "config.json").write_text("{}")

    def verify(by: SigningKey) -> subprocess.CompletedProcess[str]:
        public = tmp_path / "key.pub"
        public.write_text(by.public_pem())
        secret = place.login.secret.get_secret_value()
        argv = [
            str(COSIGN), "verify", "--key", str(public), "--insecure-ignore-tlog", "--registry-cacert", str(place.ca),
            "--registry-username", place.login.user, "--registry-password", secret, str(place.image),
        ]  # fmt: skip
        env = {**os.environ, "DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path)}
        return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, env=env, check=False)

    done = verify(key)
    assert done.returncode == 0, done.stderr
    assert place.image.digest in done.stdout
    assert "The signatures were verified against the specified public key" in done.stderr
    failed = verify(other)
    assert failed.returncode != 0
    assert place.image.digest not in failed.stdout
