"""Rebuild a hub's notebook image: look whether anything changed, build, push, scan, sign; and hand its digest on."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from prefect import flow, task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from pydantic import BaseModel, ConfigDict, Field

from config.profiles import load_profile
from config.spec import Hub
from flows.deploy import Profile, deploy, fence_of
from flows.registry import look_at_registry_of, set_up_registry
from tasks.cluster.phase import ensure_namespace
from tasks.core.artifacts import show_findings, show_image
from tasks.core.errors import Permanent
from tasks.core.fence import Fence
from tasks.core.problems import Gathering, require_ready
from tasks.image.inputs import Inputs
from tasks.image.phase import build_image, check_engine, describe_image, fetch_packages, gather_inputs, push_image
from tasks.registry.phase import (
    attach_sbom,
    confirm_push,
    find_image,
    has_sbom,
    pin_base,
    scan_image,
    sign_image,
    tag_image,
)
from tasks.registry.scan import ScanReport, require_clean
from tasks.release.phase import fetch_chart

Force = Annotated[bool, Field(title="Force", description="Build also when Harbor has an image of the same inputs.")]
DeployAfter = Annotated[bool, Field(title="Deploy after", description="Then deploy the hub with exactly this image.")]
IMAGE_FENCE = "image"


class RebuildResult(BaseModel):
    """What a run ends with: the image by digest, of which inputs, and whether this run built it."""

    model_config = ConfigDict(frozen=True)

    image: str
    tags: tuple[str, ...]
    inputs: str
    built: bool


@flow(name="rebuild-image", description="Builds a hub's notebook image when something changed, and pushes it.")
def rebuild_image(profile: Profile, force: Force = False, deploy_after: DeployAfter = False) -> RebuildResult:
    """Harbor has the image of the profile's inputs, scanned, with its SBOM, under the profile's tag.

    Nothing is built when it had one of the same inputs. When the scan finds too much, the tag stays where it was.
    """
    hub = load_profile(profile)
    inputs = look_at_inputs(hub)
    found = find_image(hub, inputs.tag)
    digest = publish(hub, inputs, found=None if force else found)
    vouch_for(hub, digest)
    tag_image(hub, digest)
    result = RebuildResult(
        image=f"{hub.image.name}@{digest}",
        tags=(hub.image.tag, inputs.tag),
        inputs=inputs.hash,
        built=force or found is None,
    )
    show_image(hub.name, result.model_dump())
    if deploy_after:
        deploy(profile, image=digest)
    return result


def look_at_inputs(hub: Hub) -> Inputs:
    """What the image is to be made from, and Harbor set up; else NotReady with everything that is missing."""
    if hub.image.build is None:
        remedy = "say in image.build how the image is made, or have whoever makes it push it"
        raise Permanent("profile", f"rebuild the image of {hub.name}", "the profile has no image.build", remedy)
    looks = Gathering()
    with TemporaryDirectory(prefix="hubwright-") as folder:
        base, fetched = pin_base.submit(hub), fetch_chart.submit(hub, Path(folder))
        plan = look_at_registry_of(hub, looks)
        pinned, chart = looks.attempt(base.result), looks.attempt(fetched.result)
        inputs = looks.attempt(gather_inputs, hub, pinned, chart.hub_version) if pinned and chart else None
    require_ready(hub.name, looks.problems, "a rebuild of the image")
    assert inputs
    if not plan.empty:
        ensure_namespace(hub)
        with fence_of(hub) as fence:
            set_up_registry(hub, fence)
    return inputs


def publish(hub: Hub, inputs: Inputs, found: str | None) -> str:
    """Harbor has the image of these inputs; returns its digest.

    ``found`` is what Harbor has under their tag. What an earlier run remembers is believed only when that is it.
    """
    if found:
        get_run_logger().info("nothing changed: %s has the image of these inputs, %s", hub.image.name, found)
        digest = publish_image(hub, inputs, found)
        if digest == found:
            return digest
        get_run_logger().warning(
            "tag %s stood for %s: somebody moved it, so the image is built again", inputs.tag, digest
        )
    ensure_namespace(hub)
    with fence_of(hub, IMAGE_FENCE) as fence:
        if fence.waited and not found and (found := find_image(hub, inputs.tag)):
            return found
        return publish_image.with_options(refresh_cache=True)(hub, inputs, None, fence)


def _key(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    hub, inputs = parameters["hub"], parameters["inputs"]
    return f"image-{hub.image.name}-{inputs.hash}".replace("/", "-").replace(":", "-")


@task(
    name="publish image",
    description="Builds the image and pushes it, unless that is known to be done.",
    cache_policy=CacheKeyFnPolicy(cache_key_fn=_key),
    persist_result=True,
    result_serializer="json",
)
def publish_image(hub: Hub, inputs: Inputs, found: str | None, fence: Fence | None = None) -> str:
    """Digest of the image in Harbor. Remembered by the inputs' hash, wherever Prefect keeps results."""
    if found:
        return found
    require_ready(hub.name, check_engine(hub), "a build")
    packages = fetch_packages(hub, inputs)
    image = build_image(hub, inputs, packages)
    if fence:
        fence.check()
    push_image(hub, image, inputs.tag)
    return confirm_push(hub, inputs.tag, image)


def vouch_for(hub: Hub, digest: str) -> ScanReport:
    """The image has its SBOM, nothing in it stops it, and it is signed where there is a key; else it is told."""
    if not has_sbom(hub, digest):
        attach_sbom(hub, digest, describe_image(hub, digest))
    report = scan_image(hub, digest)
    show_findings(hub.name, report.rows)
    require_clean(report)
    sign_image(hub, digest)
    return report
