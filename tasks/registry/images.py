"""Phase registry, one image in the hub's repository: whether it is there, and that it stays."""

from __future__ import annotations

from prefect.logging import get_run_logger

from config.spec import Hub
from tasks.core.errors import Permanent
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.task import hub_task
from tasks.core.wait import ask_patiently
from tasks.registry.client import Harbor
from tasks.registry.look import as_robot, as_user
from tasks.registry.policies import release_tag
from tasks.registry.state import SeenArtifact


@hub_task(name="find image", description="Looks for an image in the hub's repository by its tag.")
def find_image(hub: Hub, tag: str) -> str | None:
    """The digest that Harbor has under a tag; None when the tag, the repository or the project is not there."""
    with as_user(hub, Kubernetes.connect()) as harbor:
        found = ask_patiently(lambda: harbor.read_artifact(tag), get_run_logger().info)
    return found.digest if found else None


@hub_task(name="protect image", description="Tags an image that a release names, so that Harbor keeps it.")
def protect_image(hub: Hub, digest: str, fence: Fence) -> None:
    """The image has the tag of a release, which nobody moves or deletes. Writes nothing when it had it."""
    with as_robot(hub, Kubernetes.connect(), fence.check) as harbor:
        found = require_image(harbor, digest)
        if release_tag(digest) not in found.tags:
            harbor.create_tag(digest, release_tag(digest))


def require_image(harbor: Harbor, digest: str) -> SeenArtifact:
    """The image with that digest. Raises Permanent when Harbor does not have it."""
    found = ask_patiently(lambda: harbor.read_artifact(digest), get_run_logger().info)
    if found is None:
        remedy = "somebody deleted it: build it again, or push it"
        raise Permanent("Harbor", f"read image {digest}", "it is not in the repository of image.reference", remedy)
    return found
