"""The tag that a hub follows in the sandbox's Harbor, for tests that have it moved, and moved back."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from config.spec import Hub
from tasks.core.robots import read_build_robot
from tasks.registry.distribution import Manifest, Registry
from tests.sandbox.conftest import Sandbox

MARK = "hubwright.io/copy"


@dataclass(frozen=True)
class FollowedTag:
    """The tag, and what it stood for at first."""

    registry: Registry
    repository: str
    name: str
    image: Manifest
    digest: str

    def move(self) -> str:
        """The tag stands for a copy of its image that nobody had before; returns the digest of that."""
        annotations = {**self.image.get("annotations", {}), MARK: str(time.time_ns())}
        return self.registry.push_manifest(self.repository, self.name, {**self.image, "annotations": annotations})

    def move_back(self) -> None:
        """The tag stands for what it stood for at first."""
        self.registry.copy_manifest(self.repository, self.digest, self.name)


@contextmanager
def followed_tag(sandbox: Sandbox, hub: Hub) -> Generator[FollowedTag]:
    """The hub's tag, as the robot that builds sees it. It must be there, and is moved back at the end."""
    host, _, repository = hub.image.name.partition("/")
    login = read_build_robot(hub, sandbox.kubernetes)
    with closing(Registry(host, str(sandbox.paths.ca), login)) as registry:
        found = registry.read_manifest(repository, hub.image.tag)
        assert found, f"run `make demo` first: there is no {hub.image.reference}"
        tag = FollowedTag(registry, repository, hub.image.tag, *found)
        try:
            yield tag
        finally:
            if registry.read_digest(repository, tag.name) != tag.digest:
                tag.move_back()
