"""Phase image: the notebook image is made of exactly the profile's lists, tried in itself, and pushed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from prefect.cache_policies import CacheKeyFnPolicy
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger

from config.image import CUDA_LIST, OWN_LIST, Build
from config.images import PinnedImage
from config.spec import Hub
from config.types import parse_duration
from tasks.core.artifacts import Progress
from tasks.core.change import Plan
from tasks.core.errors import Permanent
from tasks.core.kubernetes import Kubernetes
from tasks.core.problems import NotReady, Problem, require_ready
from tasks.core.process import run
from tasks.core.robots import read_build_robot
from tasks.core.secrets import read_secret
from tasks.core.task import hub_task
from tasks.image.base import Base, base_of
from tasks.image.client import Engine, pull_if_missing
from tasks.image.context import read_context, write_context
from tasks.image.fetch import cache_folder, fetch_archives, fetch_wheels
from tasks.image.inputs import Inputs, build_arguments
from tasks.image.inventory import read_inventory
from tasks.image.lists import read_debian_list, read_lists
from tasks.image.lock import resolve
from tasks.image.locks import Locks, lock_problems, plan_locks, read_locks, write_locks
from tasks.image.preflight import engine_problems
from tasks.image.sbom import sbom_document
from tasks.image.signature import MadeSignature, read_key, signing_payload

QUERY_SECONDS = 30.0
TRIED_FROM = 0.9
"""How much is done when the image is built and has to be tried."""
FOLDERS = ("data-science", "jupyterlab", "development", CUDA_LIST, OWN_LIST)
"""The lists that have a layer of their own; any other is in the last one's."""


@dataclass(frozen=True)
class BuiltImage:
    """An image that the engine has: what it calls it, and the digests of its layers, unpacked."""

    id: str
    layers: tuple[str, ...]


@hub_task(name="gather inputs", description="Reads what the image is to be made from, and whether the locks match it.")
def gather_inputs(hub: Hub, base: PinnedImage, hub_version: str) -> Inputs:
    """Everything that decides what a build makes. Raises NotReady when a list has changed since it was locked."""
    build = build_of(hub)
    lists, debian = read_lists(build), read_debian_list(build)
    locks = read_locks(Path(build.locks))
    require_ready(hub.name, lock_problems(hub.name, locks, (*lists, debian)), "a build of its image")
    assert locks
    files = read_context(Path(build.context))
    for one in lists:
        files[f"packages/{_folder(one.name)}/{one.name}.txt"] = locks.texts[one.name].encode()
    files["tests/requested.txt"] = "".join(f"{name}\n" for one in lists for name in one.names).encode()
    return Inputs(base, hub_version, build.cuda, files, locks)


@hub_task(name="check engine", description="Looks whether a container engine answers that can build.")
def check_engine(hub: Hub) -> tuple[Problem, ...]:
    """What stands in the way of a build. Raises Permanent when no engine answers."""
    with _engine(build_of(hub)) as engine:
        seen = engine.read_about()
    get_run_logger().info("%s %s builds", seen.name, seen.version)
    return engine_problems(seen)


def _by_digest(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    return f"base-{parameters['base'].digest.replace(':', '-')}"


@hub_task(
    name="read base",
    description="Looks what the base image has already.",
    cache_policy=CacheKeyFnPolicy(cache_key_fn=_by_digest),
)
def read_base(hub: Hub, base: PinnedImage) -> Base:
    """The base's Python, and its packages, as its own databases say. Raises Permanent when its registry lacks it."""
    with _engine(build_of(hub)) as engine:
        _pull(engine, base)
        with engine.export(str(base)) as stream:
            inventory = read_inventory(stream)
        return base_of(base, engine.read_architecture(str(base)), inventory)


@hub_task(name="fetch packages", description="Brings the packages of the locks here, checked by their hashes.")
def fetch_packages(hub: Hub, inputs: Inputs, base: Base) -> Mapping[str, Path]:
    """Every package on disk, by its path in the build context. Raises NotReady when the base is not the locks'."""
    build, say = build_of(hub), get_run_logger().info
    lists = (*read_lists(build), read_debian_list(build))
    require_ready(hub.name, lock_problems(hub.name, inputs.locks, lists, base), "a build of its image")
    wheels = fetch_wheels(inputs.locks, base, cache_folder(), say)
    found = {f"packages/{_folder(name)}/{file.name}": file for name, files in wheels.items() for file in files}
    archives = fetch_archives(inputs.locks, base, cache_folder(), say)
    return found | {f"debian/{file.name}": file for file in archives}


@hub_task(name="build image", description="Builds the image step by step, and tries it in itself.")
def build_image(hub: Hub, inputs: Inputs, packages: Mapping[str, Path]) -> BuiltImage:
    """The engine has the image, and its tests passed. Steps that it did before are not done again."""
    build, say = build_of(hub), get_run_logger().info
    progress = Progress(f"build-{hub.name}", f"The image of {hub.name}:")
    image, trial = (f"localhost/hubwright/{hub.name}:{name}" for name in ("image", "trial"))
    with _engine(build) as engine, TemporaryFile(prefix="hubwright-context-") as context:
        _pull(engine, inputs.base)
        write_context(inputs.own, packages, ("debian", *(f"packages/{name}" for name in FOLDERS)), context)
        arguments = build_arguments(inputs, _labels(build))
        built = engine.build(context, image, arguments, lambda step: progress.tell(step.part, step.what), say)
        with TemporaryFile(prefix="hubwright-context-") as tests:
            write_context(inputs.tests, {}, (), tests)
            tried = {"IMAGE": image, "HUB_VERSION": inputs.hub_version}
            engine.build(tests, trial, tried, lambda step: progress.tell(TRIED_FROM, step.what), say)
        layers = engine.read_layers(built)
    progress.tell(1.0, "built and tried")
    return BuiltImage(built, layers)


@hub_task(name="push image", description="Pushes the image to the registry by the robot of the project.")
def push_image(hub: Hub, image: BuiltImage, tag: str) -> None:
    """The registry has been sent the image under a tag. What it had of it is not sent again."""
    robot = read_build_robot(hub, Kubernetes.connect())
    with _engine(build_of(hub)) as engine:
        engine.push(image.id, hub.image.name, tag, robot, get_run_logger().info)


@hub_task(name="describe image", description="Lists what the image is made of, by its own databases of packages.")
def describe_image(hub: Hub, digest: str) -> bytes:
    """The image's SBOM: an SPDX document in JSON."""
    image = hub.image.pinned(digest)
    with _engine(build_of(hub)) as engine:
        if not engine.has_image(str(image)):
            engine.pull(str(image), read_build_robot(hub, Kubernetes.connect()), get_run_logger().info)
        with engine.export(str(image)) as stream:
            inventory = read_inventory(stream)
    get_run_logger().info("%s has %s packages", image, len(inventory.packages))
    return sbom_document(image, inventory, datetime.now(UTC))


@hub_task(name="sign image", description="Signs the image in cosign's format.")
def sign_image(hub: Hub, digest: str) -> MadeSignature | None:
    """The signature, by which it can be told whether the image has one already; None where the profile has no key."""
    build = build_of(hub)
    if build.signing_key is None:
        return None
    key = read_key(read_secret(build.signing_key, Kubernetes.connect()))
    return MadeSignature.of(key, signing_payload(hub.image.pinned(digest)))


@dataclass(frozen=True)
class NewLocks:
    """Locks as they would be today, and what that changes."""

    locks: Locks = field(repr=False)
    plan: Plan


@hub_task(name="lock packages", description="Looks which packages the lists stand for today.")
def lock_packages(hub: Hub, base: Base) -> NewLocks:
    """What the lists ask for, resolved for the base. Nothing is written."""
    build = build_of(hub)
    after = resolve(base, read_lists(build), read_debian_list(build), get_run_logger().info)
    return NewLocks(after, plan_locks(read_locks(Path(build.locks)), after))


@hub_task(name="keep locks", description="Writes the locks into their folder.")
def keep_locks(hub: Hub, locks: Locks) -> None:
    """The profile's folder has these locks, and no others."""
    folder = Path(build_of(hub).locks)
    if read_locks(folder) != locks:
        write_locks(folder, locks)


def build_of(hub: Hub) -> Build:
    """How the hub's image is made. Raises NotReady when the profile does not say it."""
    if hub.image.build is None:
        remedy = "say in image.build how it is made, or have whoever makes it push it"
        raise NotReady(hub.name, "make its image", "the profile has no image.build", remedy)
    return hub.image.build


def _engine(build: Build) -> AbstractContextManager[Engine]:
    return Engine.connect(build.engine, parse_duration(build.timeout).total_seconds())


def _pull(engine: Engine, base: PinnedImage) -> None:
    pull_if_missing(engine, str(base), None, get_run_logger().info)


def _folder(name: str) -> str:
    return name if name in FOLDERS else OWN_LIST


def _labels(build: Build) -> dict[str, str]:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return {"SOURCE": build.source or "", "REVISION": source_revision(), "CREATED": created}


def source_revision() -> str:
    """The commit that Hubwright runs from: of its image, or else of the working copy; "" where neither tells."""
    if named := os.environ.get("HUBWRIGHT_REVISION"):
        return named
    try:
        return run(["git", "rev-parse", "HEAD"], timeout=QUERY_SECONDS, remedy="").stdout.strip()
    except Permanent:
        return ""
