"""Phase registry, one image in the hub's repository: whether it is there, and that it stays."""

from __future__ import annotations

import json
from collections.abc import Sequence

from prefect.logging import get_run_logger

from config.spec import Hub
from tasks.core.change import Action, Change, Plan
from tasks.core.errors import Permanent, Transient
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.task import hub_task
from tasks.core.wait import ask_patiently
from tasks.registry.client import Harbor
from tasks.registry.distribution import Manifest, Registry
from tasks.registry.look import as_pusher, as_robot, as_user
from tasks.registry.policies import release_tag
from tasks.registry.state import SeenArtifact, place_of


@hub_task(name="find image", description="Looks for an image in the hub's repository by its tag.")
def find_image(hub: Hub, tag: str) -> str | None:
    """The digest that Harbor has under a tag; None when the tag, the repository or the project is not there."""
    with as_user(hub, Kubernetes.connect()) as harbor:
        found = ask_patiently(lambda: harbor.read_artifact(tag), get_run_logger().info)
    return found.digest if found else None


@hub_task(name="plan protection", description="Looks whether Harbor would keep the image of a release.")
def plan_protection(hub: Hub, digest: str) -> Plan:
    """What ``protect_image`` would change. Reads only."""
    with as_user(hub, Kubernetes.connect()) as harbor:
        found = require_image(harbor, digest)
    if release_tag(digest) in found.tags:
        return Plan()
    return Plan((Change.of(Action.CREATE, f"Tag {release_tag(digest)} of {hub.image.name}", "", digest),))


@hub_task(name="protect image", description="Tags an image that a release names, so that Harbor keeps it.")
def protect_image(hub: Hub, digest: str, fence: Fence) -> None:
    """The image has the tag of a release, which nobody moves or deletes. Writes nothing when it had it."""
    with as_robot(hub, Kubernetes.connect(), fence.check) as harbor:
        found = require_image(harbor, digest)
        if release_tag(digest) not in found.tags:
            harbor.create_tag(digest, release_tag(digest))


@hub_task(name="confirm push", description="Asks the registry what it has of what was pushed.")
def confirm_push(hub: Hub, tag: str, layers: Sequence[str]) -> str:
    """The tag stands for what was pushed; returns its digest. ``layers`` are the digests of its layers, unpacked.

    Raises Transient while the registry does not know it, Permanent when somebody else pushed another meanwhile.
    """
    place = place_of(hub)
    with as_pusher(hub) as registry:
        found = registry.read_manifest(place.path, tag)
        pushed = _layers(registry, place.path, found[0]) if found else []
    asked = f"read {hub.image.name}:{tag}"
    if found is None:
        remedy = "look at the registry's log: it took the push, and does not know the tag"
        raise Transient("registry", asked, "manifest unknown, right after it was pushed", remedy)
    if pushed != list(layers):
        remedy = "see who else pushes to this repository, then run again"
        raise Permanent("registry", asked, f"somebody else moved it meanwhile, to {found[1]}", remedy)
    return found[1]


@hub_task(name="tag image", description="Moves the profile's tag to an image.")
def tag_image(hub: Hub, digest: str) -> bool:
    """The tag that the profile names stands for this image; returns whether it had to be moved.

    Raises Permanent when somebody else moved it at the same time.
    """
    place, tag = place_of(hub), hub.image.tag
    with as_pusher(hub) as registry:
        before = registry.read_descriptor(place.path, tag)
        if before and before.digest == digest:
            return False
        registry.copy_manifest(place.path, digest, tag)
        after = registry.read_digest(place.path, tag)
    if after != digest:
        remedy = "see who else pushes to this tag, then run again"
        raise Permanent("registry", f"tag {hub.image.reference}", f"somebody moved it to {after} meanwhile", remedy)
    get_run_logger().info(
        "%s is %s now; it was %s", hub.image.reference, digest, before.digest if before else "nothing"
    )
    return True


def _layers(registry: Registry, path: str, manifest: Manifest) -> Sequence[str]:
    """As an image's configuration names them: an engine that packs them for a push may change all else, and not these.

    None of something that is no image.
    """
    configuration = registry.read_blob(path, str((manifest.get("config") or {}).get("digest", "")))
    document = json.loads(configuration) if configuration else {}
    return (document.get("rootfs") or {}).get("diff_ids") or []


def require_image(harbor: Harbor, digest: str) -> SeenArtifact:
    """The image with that digest. Raises Permanent when Harbor does not have it."""
    found = ask_patiently(lambda: harbor.read_artifact(digest), get_run_logger().info)
    if found is None:
        remedy = "somebody deleted it: build it again, or push it"
        raise Permanent("Harbor", f"read image {digest}", "it is not in the repository of image.reference", remedy)
    return found
