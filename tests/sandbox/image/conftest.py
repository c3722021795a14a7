"""A hub whose image has one small list, so that it is built in seconds, with a project of its own in Harbor."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as kubernetes_client

from config.profiles import load_profile
from config.spec import Hub
from deployments.sandbox.addresses import HARBOR
from deployments.sandbox.harbor.operations import connect
from tasks.core.objects import NAMESPACE
from tasks.image import phase
from tasks.image.base import Base
from tasks.image.inputs import Inputs
from tasks.image.phase import build_image, fetch_packages, gather_inputs, keep_locks, lock_packages, read_base
from tasks.registry import evidence, images
from tasks.registry import phase as registry_phase
from tasks.registry.phase import pin_base
from tests.sandbox.conftest import CLONE, Ended, Profile, Sandbox
from tests.sandbox.registry.conftest import Admin, Log

HUB_VERSION = "5.5.0"


@dataclass(frozen=True)
class Own:
    """A profile of its own, and everything that its image is made from."""

    sandbox: Sandbox
    profile: Profile
    folder: Path

    @property
    def hub(self) -> Hub:
        return load_profile(str(self.profile))

    @property
    def path(self) -> str:
        """The repository, as registries name it."""
        return f"{self.profile.namespace}/notebook"

    def build(self, **fields: Any) -> None:
        """Change how the image is built."""
        self.profile.change(image={"build": {**self.profile.text["image"]["build"], **fields}})

    def lock(self) -> None:
        """Locks of the lists as they are now."""
        hub = self.hub
        keep_locks.fn(hub, lock_packages.fn(hub, self.base).locks)

    @property
    def base(self) -> Base:
        return read_base.fn(self.hub, pin_base.fn(self.hub))

    def inputs(self, hub_version: str = HUB_VERSION) -> Inputs:
        return gather_inputs.fn(self.hub, pin_base.fn(self.hub), hub_version)

    def built(self, hub_version: str = HUB_VERSION) -> phase.BuiltImage:
        """The image, in the engine alone."""
        inputs = self.inputs(hub_version)
        return build_image.fn(self.hub, inputs, fetch_packages.fn(self.hub, inputs, self.base))

    def rebuild(self, *words: str, env: dict[str, str] | None = None) -> Ended:
        return self.sandbox.flows("rebuild-image", str(self.profile), "--json", *words, env=env)


@pytest.fixture(autouse=True)
def log(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Log:
    """Tasks run as in a flow, and say what they say here."""
    log = Log()
    _as_in_a_flow(sandbox, monkeypatch, log)
    return log


@contextmanager
def in_a_flow(sandbox: Sandbox) -> Generator[None]:
    """The same, for fixtures that outlive a test."""
    with pytest.MonkeyPatch.context() as patch:
        _as_in_a_flow(sandbox, patch, Log())
        yield


def _as_in_a_flow(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    for name in ("KUBECONFIG", "DOCKER_HOST", "NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, sandbox.environment[name])
    monkeypatch.chdir(CLONE)
    for module in (phase, images, evidence, registry_phase):
        monkeypatch.setattr(module, "get_run_logger", lambda: log)
    monkeypatch.setattr(phase, "Progress", Bar)


class Bar:
    """Where a progress bar would be shown: there is no run that it could belong to."""

    def __init__(self, *_words: str) -> None:
        self.told: list[float] = []

    def tell(self, part: float, _what: str) -> None:
        assert part >= max(self.told, default=0.0) or part > 0
        self.told.append(part)


@pytest.fixture(scope="module")
def admin(sandbox: Sandbox) -> Generator[Admin, None, None]:
    with connect(sandbox.paths) as http:
        yield Admin(http)


@pytest.fixture(scope="module")
def own(sandbox: Sandbox, admin: Admin, tmp_path_factory: pytest.TempPathFactory) -> Generator[Own, None, None]:
    """A hub of the module's own; its project and its namespace are gone afterwards."""
    name, folder = f"test-{os.urandom(4).hex()}", tmp_path_factory.mktemp("image")
    context = folder / "context"
    shutil.copytree(CLONE / "image" / "notebook", context, ignore=shutil.ignore_patterns("locks"))
    (context / "lists" / "debian.txt").write_text("")
    # An engine that has built the same before would try nothing again.
    (context / "tests" / "own.py").write_text(f"NAME = {name!r}\n")
    (folder / "team.txt").write_text("tabulate\n")
    profile = Profile(folder / f"{name}.yaml", name, Path(), {"extends": "sandbox", "name": name})
    build = {"context": str(context), "lists": [str(folder / "team.txt")], "locks": str(folder / "locks")}
    profile.change(cluster={"namespace": name}, image={"reference": f"{HARBOR}/{name}/notebook:v1", "build": build})
    made = Own(sandbox, profile, folder)
    with in_a_flow(sandbox):
        made.lock()
    yield made
    admin.ask("POST", "/test/reset")
    admin.remove_project(name)
    if sandbox.kubernetes.read(NAMESPACE, name, None):
        kubernetes_client.CoreV1Api(sandbox.api()).delete_namespace(name)
