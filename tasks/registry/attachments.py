"""What is kept beside an image in its registry: the list of its parts, and its signature in cosign's format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tasks.registry.distribution import (
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    Registry,
    digest_of,
    encoded,
    referrers_tag,
)

SPDX = "application/spdx+json"
EMPTY = "application/vnd.oci.empty.v1+json"
EMPTY_CONFIG = b"{}"
IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
"""The annotation of a layer in which cosign looks for the signature of the layer's content."""
NOT_CREATED = "0001-01-01T00:00:00Z"
"""What cosign writes too: the signature's manifest then depends on nothing but what it says."""


class Signer(Protocol):
    """A key that signs."""

    def sign(self, payload: bytes) -> str:
        """A signature, each time another."""
        ...

    def verifies(self, payload: bytes, signature: str) -> bool:
        """Whether the signature is by this key."""
        ...


class MadeSigner(Signer, Protocol):
    """One that has signed a payload already."""

    @property
    def payload(self) -> bytes:
        """What it signed."""
        ...


def ensure_sbom(registry: Registry, repository: str, subject: Descriptor, document: bytes) -> bool:
    """An SPDX document refers to the image; returns whether this one was attached. One that is there stays."""
    if registry.list_referrers(repository, subject.digest, SPDX):
        return False
    registry.push_blob(repository, EMPTY_CONFIG)
    layer = Descriptor(SPDX, registry.push_blob(repository, document), len(document))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": SPDX,
        "config": Descriptor(EMPTY, digest_of(EMPTY_CONFIG), len(EMPTY_CONFIG)).fields(),
        "layers": [layer.fields()],
        "subject": subject.fields(),
    }
    content = encoded(manifest)
    registry.push_manifest(repository, digest_of(content), manifest)
    if not registry.list_referrers(repository, subject.digest, SPDX):
        _list_it(registry, repository, subject.digest, Descriptor(OCI_MANIFEST, digest_of(content), len(content)))
    return True


def ensure_signature(registry: Registry, repository: str, digest: str, payload: bytes, key: Signer) -> bool:
    """The image has a signature of the payload by this key; returns whether it was made. Those of others stay."""
    tag = signature_tag(digest)
    seen = registry.read_manifest(repository, tag)
    layers: Sequence[Mapping[str, Any]] = seen[0].get("layers") or () if seen else ()
    if any(_is_ours(layer, payload, key) for layer in layers):
        return False
    about = Descriptor(SIMPLE_SIGNING, registry.push_blob(repository, payload), len(payload)).fields()
    layers = [*layers, {**about, "annotations": {SIGNATURE: key.sign(payload)}}]
    config = _signature_config([layer["digest"] for layer in layers])
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": Descriptor(IMAGE_CONFIG, registry.push_blob(repository, config), len(config)).fields(),
        "layers": layers,
    }
    registry.push_manifest(repository, tag, manifest)
    return True


def signature_tag(digest: str) -> str:
    """Under which tag cosign looks for the signatures of an image."""
    return f"{digest.replace(':', '-')}.sig"


def _is_ours(layer: Mapping[str, Any], payload: bytes, key: Signer) -> bool:
    signature = (layer.get("annotations") or {}).get(SIGNATURE, "")
    return layer.get("digest") == digest_of(payload) and key.verifies(payload, signature)


def _signature_config(payloads: Sequence[str]) -> bytes:
    """The configuration of an image that runs nowhere: registries want one, and that it names the layers."""
    return encoded(
        {
            "architecture": "",
            "created": NOT_CREATED,
            "os": "",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": list(payloads)},
        }
    )


def _list_it(registry: Registry, repository: str, subject: str, referrer: Descriptor) -> None:
    """The fallback list has the referrer: a registry that keeps no list leaves that to whoever pushes (spec 1.1)."""
    tag = referrers_tag(subject)
    index, _digest = registry.read_manifest(repository, tag) or ({}, "")
    entries: list[Manifest] = [entry for entry in index.get("manifests") or () if entry["digest"] != referrer.digest]
    listed = {**referrer.fields(), "artifactType": SPDX}
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [*entries, listed]}
    registry.push_manifest(repository, tag, document)
