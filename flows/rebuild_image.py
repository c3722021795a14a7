"""Rebuild a hub's notebook image: look whether anything changed, build, push, scan, sign; and hand its digest on."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from prefect import flow, task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from pydantic import BaseModel, ConfigDict

from config.profiles import load_profile
from config.spec import Hub
from flows.deploy import Profile, deploy
from flows.fences import fence_of
from flows.forms import asked
from flows.registry import look_at_harbor, set_up_if_needed
from flows.schedule import newest_turn_only
from tasks.cluster.phase import ensure_namespace
from tasks.core.artifacts import show_findings, show_image
from tasks.core.problems import Gathering, require_ready
from tasks.image.inputs import Inputs
from tasks.image.phase import (
    build_image,
    build_of,
    check_engine,
    describe_image,
    fetch_packages,
    gather_inputs,
    push_image,
    read_base,
    sign_image,
)
from tasks.registry.evidence import attach_sbom, attach_signature, has_sbom
from tasks.registry.images import confirm_push, find_image, tag_image
from tasks.registry.phase import pin_base
from tasks.registry.scan import require_clean, scan_image
from tasks.release.phase import fetch_chart

Force = Annotated[bool, asked("Force", "Build also when Harbor has an image of the same inputs.")]
DeployAfter = Annotated[bool, asked("Deploy after", "Then deploy the hub with exactly this image.")]
IMAGE = "image"
"""The part of the hub that only one run at a time builds."""


class RebuildResult(BaseModel):
    """What a run ends with: the image by digest, of which inputs, and whether this run built it."""

    model_config = ConfigDict(frozen=True)

    image: str
    tags: tuple[str, ...]
    inputs: str
    built: bool


@flow(name="rebuild-image", description="Builds a hub's notebook image when something changed, and pushes it.")
@newest_turn_only
def rebuild_image(profile: Profile, force: Force = False, deploy_after: DeployAfter = False) -> RebuildResult:
    """Harbor has the image of the profile's inputs, scanned, with its SBOM, under the profile's tag.

    Nothing is built when it had one of the same inputs. When the scan finds too much, the tag stays where it was.
    """
    hub = load_profile(profile)
    inputs = prepare(hub)
    had = find_image(hub, inputs.tag)
    known = None if force else recall(hub, inputs, had)
    digest, built = (known, False) if known else publish(hub, inputs, had)
    vouch_for(hub, digest)
    tag_image(hub, digest)
    image, tags = str(hub.image.pinned(digest)), (hub.image.tag, inputs.tag)
    result = RebuildResult(image=image, tags=tags, inputs=inputs.hash, built=built)
    show_image(hub.name, result.model_dump())
    if deploy_after:
        deploy(profile, image=digest)
    return result


def prepare(hub: Hub) -> Inputs:
    """What the image is to be made from is known, and Harbor set up; else NotReady with everything that is missing."""
    build_of(hub)
    looks = Gathering()
    with TemporaryDirectory(prefix="hubwright-") as folder:
        pinned, fetched = pin_base.submit(hub), fetch_chart.submit(hub, Path(folder))
        plan = look_at_harbor(hub, looks)
        base, chart = looks.attempt(pinned.result), looks.attempt(fetched.result)
    inputs = looks.attempt(gather_inputs, hub, base, chart.hub_version) if base and chart else None
    require_ready(hub.name, looks.problems, "a rebuild of its image")
    assert inputs
    set_up_if_needed(hub, plan)
    return inputs


def recall(hub: Hub, inputs: Inputs, had: str | None) -> str | None:
    """The digest of these inputs' image, when Harbor has it; None when it has to be built.

    ``had`` is what is under their tag, if anything. What an earlier run remembers is believed only when that is it.
    """
    if had is None:
        return None
    digest = publish_image(hub, inputs, had)
    if digest != had:
        get_run_logger().warning("%s is no longer %s: somebody moved it; it is built again", inputs.tag, digest)
        return None
    get_run_logger().info("nothing changed: Harbor has the image of these inputs, %s", digest)
    return digest


def publish(hub: Hub, inputs: Inputs, had: str | None) -> tuple[str, bool]:
    """Harbor has another image of these inputs than it had; returns its digest, and whether this run built it."""
    ensure_namespace(hub)
    with fence_of(hub, IMAGE) as fence:
        if fence.waited and (made := find_image(hub, inputs.tag)) and made != had:
            return made, False
        digest = publish_image.with_options(refresh_cache=True)(hub, inputs, None)
        fence.check()
        return digest, True


def _key(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """By the inputs, and where the image goes: a key is a file's name where Prefect keeps results."""
    name = str(parameters["hub"].image.name).replace("/", "-").replace(":", "-")
    return f"image-{name}-{parameters['inputs'].hash}"


@task(
    name="publish image",
    description="Builds the image and pushes it, unless that is known to be done.",
    cache_policy=CacheKeyFnPolicy(cache_key_fn=_key),
    persist_result=True,
    result_serializer="json",
)
def publish_image(hub: Hub, inputs: Inputs, found: str | None) -> str:
    """Digest of the image in Harbor. It is remembered by the inputs' hash wherever Prefect keeps results."""
    if found:
        return found
    require_ready(hub.name, check_engine(hub), "a build")
    packages = fetch_packages(hub, inputs, read_base(hub, inputs.base))
    image = build_image(hub, inputs, packages)
    push_image(hub, image, inputs.tag)
    return confirm_push(hub, inputs.tag, image.layers)


def vouch_for(hub: Hub, digest: str) -> None:
    """The image has its SBOM, no finding stops it, and it is signed where the profile has a key."""
    if not has_sbom(hub, digest):
        attach_sbom(hub, digest, describe_image(hub, digest))
    report = scan_image(hub, digest)
    get_run_logger().info("%s", report.message)
    show_findings(hub.name, report.rows)
    require_clean(report)
    signature = sign_image(hub, digest)
    if signature:
        attach_signature(hub, digest, signature)
