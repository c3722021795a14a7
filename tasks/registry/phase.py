"""Phase registry: which images run, by digest."""

from __future__ import annotations

from contextlib import closing

from prefect.logging import get_run_logger

from config.images import PinnedImage, PinnedImages
from config.spec import Hub
from config.types import split_image
from tasks.core.task import hub_task
from tasks.registry.distribution import Registry


@hub_task(name="pin images", description="Looks up the digest of every image that the profile names by tag.")
def pin_images(hub: Hub) -> PinnedImages:
    """The hub's images, each by digest. Raises Permanent for one that the registry does not have."""
    system = hub.release.images
    return PinnedImages(
        notebook=_pin(hub.image.reference, hub.registry.ca),
        hub=_pin(system.hub, hub.registry.ca) if system.hub else None,
        proxy=_pin(system.proxy, hub.registry.ca) if system.proxy else None,
        offered={key: _pin(image.reference, hub.registry.ca) for key, image in hub.images.items()},
    )


def _pin(reference: str, ca: str | None) -> PinnedImage:
    host, repository, tag, digest = split_image(reference)
    if digest is None:
        assert tag  # a valid reference has one of the two
        with closing(Registry(host, ca)) as registry:
            digest = registry.read_digest(repository, tag)
        get_run_logger().info("%s is %s", reference, digest)
    return PinnedImage(host, repository, digest)
