"""Phase registry, what vouches for an image: the list of its parts, and its signature, beside it in the registry."""

from __future__ import annotations

from prefect.logging import get_run_logger

from config.spec import Hub
from tasks.core.errors import Permanent
from tasks.core.task import hub_task
from tasks.registry.attachments import SPDX, MadeSigner, ensure_sbom, ensure_signature
from tasks.registry.distribution import Descriptor, Registry
from tasks.registry.look import as_pusher
from tasks.registry.state import place_of


@hub_task(name="find SBOM", description="Looks whether a list of the image's parts is attached to it.")
def has_sbom(hub: Hub, digest: str) -> bool:
    """Whether an SPDX document refers to the image. Reads only."""
    with as_pusher(hub) as registry:
        return bool(registry.list_referrers(place_of(hub).path, digest, SPDX))


@hub_task(name="attach SBOM", description="Attaches the list of the image's parts to it.")
def attach_sbom(hub: Hub, digest: str, document: bytes) -> None:
    """An SPDX document refers to the image. One that did before stays."""
    path = place_of(hub).path
    with as_pusher(hub) as registry:
        made = ensure_sbom(registry, path, _subject(registry, path, digest), document)
    get_run_logger().info("SBOM of %s bytes %s", len(document), "attached" if made else "was attached already")


@hub_task(name="attach signature", description="Attaches a signature in cosign's format to the image.")
def attach_signature(hub: Hub, digest: str, signature: MadeSigner) -> bool:
    """The image has a signature by the profile's key; returns whether it had none before."""
    with as_pusher(hub) as registry:
        return ensure_signature(registry, place_of(hub).path, digest, signature.payload, signature)


def _subject(registry: Registry, path: str, digest: str) -> Descriptor:
    found = registry.read_descriptor(path, digest)
    if found is None:
        remedy = "somebody deleted it: build it again"
        raise Permanent("registry", f"read {path}@{digest}", "404, there is no such image", remedy)
    return found
